"""An abdominal CT on a CPU: processor seconds of `predict` for 512 x 512 x 215 voxels and 14 classes.

    scripts/benchmark ct [--python PYTHON]     # an interpreter with this package and openvino adds that engine

Recipe `quick` with a target spacing of 1.5 mm; weights are as initialised, seconds do not depend on them. A network of
one convolution tells what everything around the network takes. One thread each: what several cores would take is
the time around the network plus that of the network divided by their number, at best.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
from benchmark_memory import NETWORK
from benchmark_prediction import OURS, RANDOM_WEIGHTS, ROOT, call
from scipy.ndimage import zoom

SHAPE = (512, 512, 215)
SPACING = (0.8, 0.8, 2.0)
CLASSES = 14


def write_data(folder: Path) -> Path:
    """Five small cases of the classes; returns their dataset.json."""
    random = np.random.default_rng(0)
    labels = np.arange(8**3).reshape(8, 8, 8) % CLASSES
    affine = np.diag([*SPACING, 1.0])
    for number in range(5):
        case = folder / "train" / f"case{number}"
        case.mkdir(parents=True)
        mask = np.kron(labels, np.ones((24, 24, 10), np.uint8)).astype(np.uint8)
        image = (40 * mask + 20 * random.standard_normal(mask.shape)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(image, affine), case / "image.nii.gz")
        nibabel.save(nibabel.Nifti1Image(mask, affine), case / "mask.nii.gz")
    description = {
        "task": "abdomen",
        "modality": "ct",
        "train-data": "train",
        "mask": ["mask.nii.gz"],
        "images": {"ct": ["image.nii.gz"]},
        "labels": list(range(CLASSES)),
        "final_classes": {f"organ{index}": [index] for index in range(1, CLASSES)},
    }
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    return folder / "dataset.json"


def write_image(path: Path) -> None:
    """A smooth volume."""
    small = np.random.default_rng(1).standard_normal((17, 17, 8))
    whole = zoom(small, (32, 32, 32), order=1)[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    nibabel.save(nibabel.Nifti1Image((200 * whole).astype(np.int16), np.diag([*SPACING, 1.0])), path)


def bundle_of(work: Path, dataset: Path, spacing: float, patch: int, network: str) -> Path:
    """A bundle with weights as initialised."""
    output = work / network.split(":")[-1]
    options = ["--recipe", "quick", "--folds", "2", "--network", network, "--patch_divisor", "8"]
    if ":" not in network:
        options = options[:-2]
    options += ["--patch_size", ",".join([str(patch)] * 3), "--target_spacing", ",".join([str(spacing)] * 3)]
    call([*OURS, "autoconfig", str(dataset), "--output", str(output), *options])
    bundle = next(path for path in output.iterdir() if (path / "configs").is_dir())
    call([sys.executable, "-c", RANDOM_WEIGHTS, str(bundle)])
    return bundle


def predicted(python: str, bundle: Path, image: Path, output: Path, words: list[str]) -> tuple[float, float]:
    """Seconds of the processor and of the clock."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    command = [python, "-m", "mist_bundle", "predict", str(bundle), "--input", str(image), "--output", str(output)]
    done = subprocess.run(
        [*command, "--notta", "--trust", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return processor, time.perf_counter() - started


def main() -> None:
    """Print a row for each network and engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="interpreter with openvino")
    parser.add_argument("--spacing", type=float, default=1.5, help="millimetres of the prepared grid")
    parser.add_argument("--patch", type=int, default=96, help="voxels of a side of the windows")
    parser.add_argument("--overlap", type=float, default=0.25)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        dataset = write_data(work / "data")
        image = work / "scan.nii.gz"
        write_image(image)
        (work / "tiny.py").write_text(NETWORK, encoding="utf-8")
        tiny = bundle_of(work, dataset, options.spacing, options.patch, f"{work / 'tiny.py'}:TinyNet")
        subpixel = bundle_of(work, dataset, options.spacing, options.patch, "nnunet-subpixel")
        runs = [(sys.executable, tiny, "torch"), (sys.executable, subpixel, "torch")]
        if options.python:
            runs.append((options.python, subpixel, "openvino"))
        for number, (python, bundle, engine) in enumerate(runs):
            words = ["--engine", engine, "--overlap", str(options.overlap)]
            processor, clock = predicted(python, bundle, image, work / f"out{number}", words)
            sys.stdout.write(f"{bundle.parent.name}, {engine}: {processor:.1f} s of the processor, {clock:.1f} s\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
