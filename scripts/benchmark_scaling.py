"""Time of a training on more processes, of folds side by side, and of cases, on this machine; and a model of GPUs.

    scripts/benchmark scaling                      # measure what is missing, then write docs/scaling.md
    scripts/benchmark scaling --part training      # a part: training, folds, dask or cost
    scripts/benchmark scaling --render             # only write the page

Every run is kept in docs/scaling.json. Each figure is the least of its runs, three unless --most_seconds ended
them. Beside the seconds on the clock it has those of the processor: what a run takes where nobody else computes, since
other work on a machine adds to the former.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mist_bundle import pipeline
from mist_bundle.bundle.folder import Bundle
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.files import work_dir_of, write_json
from mist_bundle.planning.options import PlanOptions

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs/scaling.json"
PAGE = ROOT / "docs/scaling.md"
PICTURE = ROOT / "docs/images/scaling.png"
BEGIN, END = "<!-- scaling: begin -->", "<!-- scaling: end -->"
RUNS = 3
STEPS, EPOCHS = 6, 4
# processes, patches of a step in all
TRAININGS = ((1, 2), (1, 4), (2, 4))
CASES = (4, 8, 16)
EDGES = (32, 64, 96)  # voxels along each axis
COMMAND = (sys.executable, "-W", "ignore", "-m", "mist_bundle")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
Run = dict[str, float]

# cited: NVIDIA, DeepLearningExamples, PyTorch/Segmentation/nnUNet, DGX A100 80 GB, 3D, mixed precision, batch 2
CITED_ONE_GPU, CITED_EIGHT_GPUS = 27.5, 220.8  # images of 128 x 128 x 128 a second
# cited: data sheets of the A100 (NVLink, each direction) and of InfiniBand HDR
NVLINK_BYTES, NETWORK_BYTES = 300e9, 25e9  # a second
GRADIENT_BYTES = 4 * 31.2e6  # of the 31.2 million parameters of a 3D nnU-Net for 128 x 128 x 128, in float32
GPUS_OF_A_NODE = 8
GLOBAL_BATCH = 32  # of the paper


# --- what is measured ---------------------------------------------------------------------------------------------


def measure_training(folder: Path, processes: int, batch: int) -> Run:
    """The shortest epoch after the first, on the clock and in processor seconds of the busiest process."""
    bundle = _bundle(folder, folds=2)
    words = ["--steps_per_epoch", str(STEPS), "--epochs", str(EPOCHS), "--val_interval", str(EPOCHS), "--workers", "1"]
    words += ["--batch_size", str(batch), "--processes", str(processes), "--ema_decay", "0", "--precision", "fp32"]
    marks: list[dict[int, float]] = []
    with subprocess.Popen([*COMMAND, "train", str(bundle), *words], env=ENVIRONMENT) as process:
        while process.poll() is None:
            status = Bundle(bundle).fold(0).status
            if status is not None and status["epoch"] > len(marks):
                marks.append(_processor_seconds(str(bundle), "training"))
            time.sleep(0.02)
    if process.returncode:
        raise RuntimeError("the training failed")
    seconds = [record["seconds"] for record in Bundle(bundle).fold(0).history[1:-1]]  # the last one is validated
    busiest = []
    for before, after in pairwise(marks[:-1]):
        busiest.append(max(after[number] - before[number] for number in before.keys() & after.keys()))
    return {"seconds": min(seconds), "processor": min(busiest)}


def _processor_seconds(bundle: str, word: str) -> dict[int, float]:
    """Process -> processor seconds until now, of all processes whose command line ends with a run of the bundle."""
    spent = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        is_launcher = "torch.distributed.run" in words
        if word in words and bundle in " ".join(words) and not is_launcher:
            spent[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return spent


def measure_folds(folder: Path, parallel: int) -> Run:
    """A whole training of two folds, from the command to its end."""
    bundle = _bundle(folder, folds=2)
    words = ["--fold", "all", "--steps_per_epoch", str(2 * STEPS), "--epochs", "2", "--val_interval", "2"]
    return _timed([*COMMAND, "train", str(bundle), *words, "--workers", "1", "--parallel", str(parallel)])


def _bundle(folder: Path, *, folds: int) -> Path:
    """A bundle on phantoms whose arrays are prepared."""
    data = make_phantom(folder / "data", num_cases=6, shape=(48, 48, 48))
    options = PlanOptions(
        recipe="quick", network="nnunet-pocket", patch_size=(32, 32, 32), folds=folds, val_fraction=0.2
    )
    bundle = pipeline.autoconfig(data, folder / "out", options).bundle
    subprocess.run([*COMMAND, "preprocess", str(bundle)], env=ENVIRONMENT, check=True)
    return bundle


def measure_dask(folder: Path, workers: int) -> Run:
    """The measurement of 16 cases by workers of a cluster: on the clock, and the processor of the busiest worker."""
    data = make_phantom(folder / "data", num_cases=16, shape=(96, 96, 96))
    address = "tcp://127.0.0.1:8797"
    dask = [sys.executable, "-W", "ignore", "-m"]
    scheduler = [*dask, "distributed.cli.dask_scheduler", "--port=8797", "--dashboard-address=:0"]
    worker = [*dask, "distributed.cli.dask_worker", address, "--nthreads=1", "--no-nanny", "--no-dashboard"]
    worker += ["--local-directory", str(folder)]
    started = []
    try:
        for command in (scheduler, *[worker] * workers):
            started.append(
                subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            time.sleep(8)
        _timed([*COMMAND, "analyze", str(data), "--output", str(folder / "warm"), *_few(address)])  # imports
        before = _processor_seconds(address, address)
        run = _timed([*COMMAND, "analyze", str(data), "--output", str(folder / "page"), *_few(address)])
        after = _processor_seconds(address, address)
    finally:
        for process in started:
            process.kill()
            process.wait()
    run["processor"] = max(after[number] - before[number] for number in before.keys() & after.keys())
    return run


def _few(workers: str) -> list[str]:
    return ["--pictures", "0", "--workers", workers]


def measure_cost(folder: Path, cases: int, edge: int) -> Run:
    """Processor seconds of measuring and of preparing cases."""
    data = make_phantom(folder / "data", num_cases=cases, shape=(edge, edge, edge))
    analysis = _timed([*COMMAND, "analyze", str(data), "--output", str(folder / "page"), *_few("1")])
    options = PlanOptions(recipe="quick", patch_size=(32, 32, 32), folds=2)
    bundle = pipeline.autoconfig(data, folder / "out", options).bundle
    shutil.rmtree(work_dir_of(bundle), ignore_errors=True)
    preparation = _timed([*COMMAND, "preprocess", str(bundle), "--workers", "1"])
    return {"analysis": analysis["processor"], "preparation": preparation["processor"]}


def _timed(command: Sequence[str]) -> Run:
    """Seconds on the clock of a command, and processor seconds of it and of all that it starts."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": end - begin, "processor": spent}


# --- the runs that are kept ---------------------------------------------------------------------------------------


def all_runs() -> dict[str, dict[str, Callable[[Path], Run]]]:
    """Part -> name of a figure -> its measurement."""
    parts: dict[str, dict[str, Callable[[Path], Run]]] = {"training": {}, "folds": {}, "dask": {}, "cost": {}}
    for processes, batch in TRAININGS:
        parts["training"][f"{processes} x {batch}"] = _with(measure_training, processes, batch)
    for parallel in (1, 2):
        parts["folds"][str(parallel)] = _with(measure_folds, parallel)
        parts["dask"][str(parallel)] = _with(measure_dask, parallel)
    for cases in CASES:
        parts["cost"][f"{cases} cases of 48"] = _with(measure_cost, cases, 48)
    for edge in EDGES:
        parts["cost"][f"4 cases of {edge}"] = _with(measure_cost, 4, edge)
    return parts


def _with(measurement: Callable[..., Run], *arguments: int) -> Callable[[Path], Run]:
    return lambda folder: measurement(folder, *arguments)


def measure(parts: Sequence[str], most_seconds: float) -> None:
    """Measure what is missing, a run of every figure before the second of any, keeping each as soon as it is done."""
    figures = _read()
    until = time.monotonic() + most_seconds
    for count in range(RUNS):
        for name, runs in all_runs().items():
            for key, run in runs.items():
                kept = figures["runs"].setdefault(name, {}).setdefault(key, [])
                if name not in parts or len(kept) > count or time.monotonic() > until:
                    continue
                with tempfile.TemporaryDirectory(prefix="scaling_") as folder:
                    record = {**run(Path(folder)), "load": os.getloadavg()[0]}
                for figure, value in record.items():
                    record[figure] = round(value, 3)
                kept.append(record)
                sys.stdout.write(f"{name} {key}: {record}\n")
                sys.stdout.flush()
                write_json(FIGURES, figures)


def _read() -> dict[str, Any]:
    if FIGURES.is_file():
        content: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
        return content
    return {"machine": f"{os.cpu_count()} cores, {platform.machine()}", "runs": {}}


def best(figures: Mapping[str, Any], part: str, key: str, figure: str) -> float:
    """The least of the runs."""
    return min(float(run[figure]) for run in figures["runs"][part][key])


# --- the model of GPUs --------------------------------------------------------------------------------------------


def modelled_images(gpus: int, batch: int) -> float:
    """Images a second of GPUs that share a batch: each computes its patches, then all add up their gradients.

    A ring of N members sends 2 (N - 1) / N times the gradients over its slowest link. Nothing overlaps.

    Args:
        gpus: in all; nodes hold eight each.
        batch: patches of a step, in all.
    """
    slowest = NVLINK_BYTES if gpus <= GPUS_OF_A_NODE else NETWORK_BYTES
    exchange = 2 * (gpus - 1) / gpus * GRADIENT_BYTES / slowest
    return batch / (batch / gpus / CITED_ONE_GPU + exchange)


def serial_share(speedup: float, gpus: int) -> float:
    """The share of the work that does not become faster, by Amdahl's law."""
    return (gpus / speedup - 1) / (gpus - 1)


# --- the page -----------------------------------------------------------------------------------------------------


def render() -> None:
    """Put all tables into the page."""
    figures = _read()
    sections = {"training": _training_lines, "folds": _folds_lines, "dask": _dask_lines, "cost": _cost_lines}
    lines = []
    for part, runs in all_runs().items():
        missing = [key for key in runs if not figures["runs"].get(part, {}).get(key)]
        if missing:
            sys.stdout.write(f"{part}: not on the page, nothing was measured of {', '.join(missing)}.\n")
        else:
            lines += sections[part](figures)
    lines += _model_lines()
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}", encoding="utf-8")


def _training_lines(figures: Mapping[str, Any]) -> list[str]:
    loads, counts = [], []
    for part in figures["runs"].values():
        for runs in part.values():
            loads += [run["load"] for run in runs]
            counts += [len(runs)] if runs else []
    lines = [
        f"Measured on {figures['machine']}, one thread for each process, shared with other work (load {min(loads):.0f} "
        f"to {max(loads):.0f}); each figure is the least of {_span(counts)} runs. Processor seconds are those of the "
        "busiest process: what the clock would show on a core of its own.",
        "",
        f"An epoch of {STEPS} steps (nnunet-pocket, patches of 32³, fp32, gloo):",
        "",
        "| processes | patches of a step | on the clock | processor | |",
        "|---|---|---|---|---|",
    ]
    notes = {"1 x 4": "", "2 x 4": "strong: the same batch", "1 x 2": "weak: two patches for each process"}
    for key, note in notes.items():
        processes, _, batch = key.partition(" x ")
        seconds, processor = (best(figures, "training", key, name) for name in ("seconds", "processor"))
        lines.append(f"| {processes} | {batch} | {seconds:.2f} s | {processor:.2f} s | measured{_after(note)} |")
    single, double, half = (best(figures, "training", key, "seconds") for key in ("1 x 4", "2 x 4", "1 x 2"))
    lines += [
        "",
        f"On the clock, two processes are {single / double:.2f} times as fast with the same batch (strong), "
        f"and take {double / half:.2f} times as long for twice the patches (weak).",
        "",
    ]
    return lines


def _span(counts: Sequence[int]) -> str:
    return f"{max(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def _after(note: str) -> str:
    return f"; {note}" if note else ""


def _folds_lines(figures: Mapping[str, Any]) -> list[str]:
    names = {"1": "one after the other", "2": "side by side (`--parallel 2`)"}
    title = f"Two folds of 2 x {2 * STEPS} steps by `train --fold all`, from the command to its end:"
    saved = best(figures, "folds", "1", "seconds") / best(figures, "folds", "2", "seconds")
    note = f"Both ways cost as much; on the clock, folds side by side end {saved:.1f} times as soon (measured)."
    return [title, "", *_times(figures, "folds", names, "folds", "processor, both folds"), note, ""]


def _dask_lines(figures: Mapping[str, Any]) -> list[str]:
    names = {"1": "1", "2": "2"}
    title = "16 cases of 96³ measured by `analyze --workers tcp://…`:"
    return [title, "", *_times(figures, "dask", names, "workers of Dask", "processor, busiest worker")]


def _times(figures: Mapping[str, Any], part: str, names: Mapping[str, str], what: str, whose: str) -> list[str]:
    """A table of a part with a row for each name."""
    lines = [f"| {what} | on the clock | {whose} | |", "|---|---|---|---|"]
    for key, name in names.items():
        seconds, processor = (best(figures, part, key, figure) for figure in ("seconds", "processor"))
        lines.append(f"| {name} | {seconds:.1f} s | {processor:.1f} s | measured |")
    return [*lines, ""]


def _cost_lines(figures: Mapping[str, Any]) -> list[str]:
    draw(figures)
    few, many = f"{CASES[0]} cases of 48", f"{CASES[-1]} cases of 48"
    small, large = f"4 cases of {EDGES[0]}", f"4 cases of {EDGES[-1]}"
    lines = []
    for figure in ("analysis", "preparation"):
        by_case = (best(figures, "cost", many, figure) - best(figures, "cost", few, figure)) / (CASES[-1] - CASES[0])
        voxels = 4 * (EDGES[-1] ** 3 - EDGES[0] ** 3) / 1e6
        by_voxels = (best(figures, "cost", large, figure) - best(figures, "cost", small, figure)) / voxels
        lines.append(
            f"- {figure}: {by_case:.3f} s for a further case of 48³, {by_voxels:.3f} s for a further million voxels"
        )
    return [
        "What a dataset costs before training grows with its cases and with its voxels (measured, processor seconds; "
        "the start of the commands is in the picture and not in these figures):",
        "",
        *lines,
        "",
        "![Processor seconds of analysis and preparation against cases and voxels](images/scaling.png)",
        "",
    ]


def draw(figures: Mapping[str, Any]) -> None:
    """Write the picture of the costs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from mist_bundle.report.colours import STRUCTURE_COLOURS

    canvas, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    millions = [4 * edge**3 / 1e6 for edge in EDGES]
    for colour, figure in zip(STRUCTURE_COLOURS, ("analysis", "preparation"), strict=False):
        by_cases = [best(figures, "cost", f"{cases} cases of 48", figure) for cases in CASES]
        by_voxels = [best(figures, "cost", f"4 cases of {edge}", figure) for edge in EDGES]
        left.plot(CASES, by_cases, "o-", color=colour, label=figure)
        right.plot(millions, by_voxels, "o-", color=colour, label=figure)
    left.set(xlabel="cases of 48³ voxels", ylabel="processor seconds", ylim=(0, None))
    right.set(xlabel="million voxels in 4 cases", ylim=(0, None))
    left.legend()
    canvas.savefig(PICTURE, dpi=110)
    pyplot.close(canvas)


def _model_lines() -> list[str]:
    share = serial_share(6, 8)
    lines = [
        "Several GPUs, modelled for nnU-Net on A100 80 GB: a GPU computes its patches at NVIDIA's published rate, "
        "then all add up their gradients over NVLink, or between nodes of eight over a network of 200 Gbit/s. Nothing "
        "overlaps, and loading of data costs nothing.",
        "",
        f"| GPUs | images/s, 2 patches each | images/s, {GLOBAL_BATCH} patches in all | times as fast | |",
        "|---|---|---|---|---|",
    ]
    for gpus in (1, 2, 4, 8, 16, 32):
        weak, strong = modelled_images(gpus, 2 * gpus), modelled_images(gpus, GLOBAL_BATCH)
        nodes = f" ({gpus // GPUS_OF_A_NODE} nodes)" if gpus > GPUS_OF_A_NODE else ""
        lines.append(f"| {gpus}{nodes} | {weak:.1f} | {strong:.1f} | {strong / CITED_ONE_GPU:.1f} | modelled |")
    return [
        *lines,
        f"| 1, 8 | {CITED_ONE_GPU}, {CITED_EIGHT_GPUS} | | {CITED_EIGHT_GPUS / CITED_ONE_GPU:.1f} | cited: NVIDIA, "
        "DeepLearningExamples nnU-Net, A100 80 GB, batch 2 |",
        "| 8 | | | nearly 6 | cited: the MIST paper, eight H100 |",
        "",
        f"By Amdahl's law, six times on eight GPUs means that {share:.0%} of an epoch did not become faster: what the "
        "model leaves out. No machine with several GPUs was at hand to measure ours.",
    ]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=sorted(all_runs()), nargs="+", help="measure only these parts")
    parser.add_argument("--most_seconds", type=float, default=7200, help="begin no further run after this time")
    parser.add_argument("--render", action="store_true", help="only write the page")
    options = parser.parse_args()
    if not options.render:
        measure(options.part or sorted(all_runs()), options.most_seconds)
    render()


if __name__ == "__main__":
    main()
