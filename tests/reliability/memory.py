"""Memory and seconds of commands with 100 and with 1000 cases: what grows with the number of cases must be small.

`python -m tests.reliability.memory --output FILE` adds a record for each command and number of cases to FILE. Memory is
the largest sum, over the command and all processes that it starts, of the proportional set size (PSS: pages that
processes share are counted once), sampled ten times a second. The cases are phantoms, all different.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mist_bundle.dataset.phantom import make_phantom

NUMBERS = (100, 1000)
SHAPE = (32, 32, 24)
OPTIONS = (
    *("--folds", "2", "--recipe", "quick", "--epochs", "1", "--steps_per_epoch", "4", "--batch_size", "2"),
    *("--patch_size", "16,16,16", "--val_fraction", "0.02"),
)


def measured(words: Sequence[str]) -> tuple[float, float]:
    """Seconds and the largest memory (MB) of a command and of what it starts.

    Raises:
        SystemExit: the command fails.
    """
    command = [sys.executable, "-m", "mist_bundle", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    start, most = time.monotonic(), 0.0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        while process.poll() is None:
            most = max(most, sum(_pss_mb(number) for number in _with_descendants(process.pid)))
            time.sleep(0.1)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{words[0]} ended with exit code {process.returncode}:\n{said.read()[-2000:]}")
    return time.monotonic() - start, most


def _with_descendants(root: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:  # it has ended
            continue
        parent = int(text.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(path.parent.name))
    waiting = [root]
    while waiting:
        number = waiting.pop()
        yield number
        waiting += children.get(number, [])


def _pss_mb(number: int) -> float:
    try:
        text = Path(f"/proc/{number}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def commands(folder: Path, number: int) -> Iterator[tuple[str, list[str]]]:
    """The commands to measure, in an order in which each finds what it needs."""
    data = make_phantom(folder / "data", kind="hippocampus", num_cases=number, num_test=0, seed=3, shape=SHAPE)
    out = folder / "out"
    bundle = out / "phantom_hippocampus_segmentation"
    yield "autoconfig", ["autoconfig", str(data), "--output", str(out), *OPTIONS]
    yield "preprocess", ["preprocess", str(bundle)]
    yield "train, one epoch of four steps", ["train", str(bundle)]
    words = ["evaluate", "--reference", str(data), "--prediction", str(_masks(data.parent, folder / "masks"))]
    yield "evaluate files", [*words, "--output", str(folder / "results.csv")]


def _masks(data: Path, folder: Path) -> Path:
    """A folder of label maps, copies of the references."""
    folder.mkdir()
    for path in data.glob("train/*/mask.nii.gz"):
        shutil.copy(path, folder / f"{path.parent.name}.nii.gz")
    return folder


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS)
    words = parser.parse_args()
    for number in words.numbers:
        with tempfile.TemporaryDirectory(prefix="reliability_") as folder:
            for name, command in commands(Path(folder), number):
                seconds, most = measured(command)
                record = {"memory": name, "cases": number, "seconds": round(seconds, 1), "mb": round(most)}
                with words.output.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(record) + "\n")
                sys.stdout.write(f"{record}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
