"""An abdominal CT on a CPU: seconds of `predict` for 512 x 512 x 215 voxels and 14 classes, by recipe `cpu`.

    scripts/benchmark ct                       # OPENVINO_PYTHON=… (an interpreter with openvino) adds that engine
    scripts/benchmark ct --cores 1             # on a busy machine: processor seconds alone say something
    scripts/benchmark ct --shape 256x256x100   # a try

Weights are as initialised: seconds do not depend on them. A network of one convolution tells what everything around the
network takes; the rest of a run is the network. Each run may use a number of cores and as many threads. Eight cores are
extrapolated by Amdahl's law: the processor seconds around the network stay, those of the network are divided by eight;
and where one and two cores were measured, also by the share of the clock that the second core saved.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from benchmark_memory import NETWORK, shape_of
from benchmark_prediction import OURS, RANDOM_WEIGHTS, ROOT, call
from scipy.ndimage import zoom

SHAPE = (512, 512, 215)
SPACING = (0.8, 0.8, 2.0)
CLASSES = 14
LAPTOP_CORES = 8
Shape = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Seconds of a whole command."""

    processor: float
    clock: float


def write_data(folder: Path, shape: Shape) -> Path:
    """Two cases of the size and the classes of the scan; returns their dataset.json."""
    random = np.random.default_rng(0)
    labels = np.arange(8**3).reshape(8, 8, 8) % CLASSES
    sides = [-(-length // 8) for length in shape]
    mask = np.kron(labels, np.ones(sides, np.uint8)).astype(np.uint8)[: shape[0], : shape[1], : shape[2]]
    affine = np.diag([*SPACING, 1.0])
    for number in range(2):
        case = folder / "train" / f"case{number}"
        case.mkdir(parents=True)
        image = (40 * mask + 20 * random.standard_normal(mask.shape, np.float32)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(image, affine), case / "image.nii")
        nibabel.save(nibabel.Nifti1Image(mask, affine), case / "mask.nii")
    description = {
        "task": "abdomen",
        "modality": "ct",
        "train-data": "train",
        "mask": ["mask.nii"],
        "images": {"ct": ["image.nii"]},
        "labels": list(range(CLASSES)),
        "final_classes": {f"organ{index}": [index] for index in range(1, CLASSES)},
    }
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    return folder / "dataset.json"


def write_image(path: Path, shape: Shape) -> None:
    """A smooth volume."""
    small = np.random.default_rng(1).standard_normal((17, 17, 8))
    whole = zoom(small, (32, 32, 32), order=1)[: shape[0], : shape[1], : shape[2]]
    nibabel.save(nibabel.Nifti1Image((200 * whole).astype(np.int16), np.diag([*SPACING, 1.0])), path)


def bundle_of(work: Path, dataset: Path, network: str) -> Path:
    """A bundle by recipe `cpu` with weights as initialised; a network of the user's takes the recipe's patch."""
    output = work / (network.split(":")[-1] or "recipe")
    words = ["--recipe", "cpu", "--folds", "2"]
    if network:
        words += ["--network", network, "--patch_divisor", "32"]
    call([*OURS, "autoconfig", str(dataset), "--output", str(output), *words])
    bundle = next(path for path in output.iterdir() if (path / "configs").is_dir())
    call([sys.executable, "-c", RANDOM_WEIGHTS, str(bundle)])
    return bundle


def predicted(python: str, bundle: Path, image: Path, output: Path, cores: int, words: Sequence[str]) -> Run:
    """Seconds of `predict` with start-up, on so many cores."""
    command = [python, "-m", "mist_bundle", "predict", str(bundle), "--input", str(image), "--output", str(output)]
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(
        ["taskset", "--cpu-list", ",".join(map(str, allowed)), *command, "--notta", "--trust", *words],
        env={**os.environ, "OMP_NUM_THREADS": str(cores)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(processor=processor, clock=time.perf_counter() - started)


def on_more_cores(around: Run, whole: Run, cores: int = LAPTOP_CORES) -> float:
    """Seconds by Amdahl's law: what is around the network stays, the network is shared evenly."""
    network = max(0.0, whole.processor - around.processor)
    return around.processor + network / cores


def by_the_second_core(one: Run, two: Run, cores: int = LAPTOP_CORES) -> float:
    """Seconds by Amdahl's law with the parallel share that one and two cores show."""
    share = min(1.0, max(0.0, 2 * (1 - two.clock / one.clock)))
    return one.clock * (1 - share + share / cores)


def print_row(name: str, around: dict[int, Run], whole: dict[int, Run]) -> None:
    """A row of the table."""
    cells = [name]
    for cores, run in whole.items():
        network = run.processor - around[cores].processor
        cells.append(f"{run.processor:.1f} s: {around[cores].processor:.1f} + {network:.1f}; {run.clock:.1f} s")
    law = [] if name.startswith("openvino") else [on_more_cores(around[1], whole[1])]  # its conversion is not shared
    if 2 in whole:
        law.append(by_the_second_core(whole[1], whole[2]))
    cells.append("; ".join(f"{seconds:.1f} s" for seconds in law))
    sys.stdout.write("| " + " | ".join(cells) + " |\n")
    sys.stdout.flush()


def main() -> None:
    """Print a row for each engine and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=shape_of, default=SHAPE)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2], help="1 first")
    parser.add_argument("--precisions", nargs="+", default=["bf16", "fp32"])
    parser.add_argument("--repeat", type=int, default=1, help="the fastest run counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        dataset = write_data(work / "data", options.shape)
        image = work / "scan.nii.gz"
        write_image(image, options.shape)
        (work / "tiny.py").write_text(NETWORK, encoding="utf-8")
        tiny = bundle_of(work, dataset, f"{work / 'tiny.py'}:TinyNet")
        bundle = bundle_of(work, dataset, "")
        numbers = itertools.count()

        def measured(python: str, bundle: Path, *words: str) -> dict[int, Run]:
            fastest: dict[int, Run] = {}
            for cores in options.cores:
                runs = []
                for _ in range(options.repeat):
                    runs.append(predicted(python, bundle, image, work / f"out{next(numbers)}", cores, words))
                fastest[cores] = min(runs, key=lambda run: run.processor)
            return fastest

        columns = [f"{cores} cores: processor (around + network); clock" for cores in options.cores]
        columns = ["engine", *columns, f"{LAPTOP_CORES} cores, extrapolated"]
        sys.stdout.write("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns) + "\n")
        around = measured(sys.executable, tiny, "--precision", "fp32")
        engines = {"torch": sys.executable, "openvino": os.environ.get("OPENVINO_PYTHON", "")}
        for engine, python in engines.items():
            for precision in options.precisions if python else ():
                words = ("--engine", engine, "--precision", precision)
                print_row(f"{engine}, {precision}", around, measured(python, bundle, *words))


if __name__ == "__main__":
    main()
