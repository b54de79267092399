"""Seconds and memory of configuring and preprocessing, beside mist-medical 2.3.0 where it is installed.

    scripts/benchmark configure [--cases 100] [--repeats 3]

The data are those of MIST_BUNDLE_DATA (default ../shared/data); MIST_PYTHON names an interpreter with mist-medical.
Machines are noisy: what counts is the ratio within one run. Each figure is the median of the repeats, with start-up.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def measured(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak memory in MB of a command (its largest process)."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stderr is not None
    errors = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{errors[-2000:]}")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def own_commands(data: Path, folder: Path) -> dict[str, list[str]]:
    """autoconfig, then preprocess."""
    own = [sys.executable, "-m", "mist_bundle"]
    return {
        "configure": [*own, "autoconfig", str(data), "--output", str(folder)],
        "preprocess": [*own, "preprocess", str(folder / "hippocampus_segmentation")],
    }


def mist_commands(data: Path, folder: Path, python: Path) -> dict[str, list[str]]:
    """mist_analyze, then mist_preprocess."""
    bin_folder = python.parent
    results, arrays = str(folder / "results"), str(folder / "numpy")
    return {
        "configure": [str(bin_folder / "mist_analyze"), "--data", str(data), "--results", results],
        "preprocess": [str(bin_folder / "mist_preprocess"), "--results", results, "--numpy", arrays],
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    shared = Path(os.environ.get("MIST_BUNDLE_DATA", ROOT.parent / "shared" / "data"))
    source = shared / "Task04_Hippocampus"
    if not source.is_dir():
        raise SystemExit(f"no {source}; set MIST_BUNDLE_DATA to the folder that holds Task04_Hippocampus")
    mist = os.environ.get("MIST_PYTHON")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        convert = [sys.executable, "-m", "mist_bundle", "convert_msd", "--source", str(source)]
        measured([*convert, "--output", str(folder / "data"), "--limit", str(arguments.cases)])
        data = folder / "data/dataset.json"
        rows: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for _ in range(arguments.repeats):
            tools = {"mist_bundle": own_commands(data, folder / "own")}
            if mist:
                tools["mist-medical"] = mist_commands(data, folder / "mist", Path(mist))
            for tool, commands in tools.items():
                for stage, command in commands.items():
                    rows.setdefault(stage, {}).setdefault(tool, []).append(measured(command))
            for made in ("own", "mist"):
                shutil.rmtree(folder / made, ignore_errors=True)
    print(f"{arguments.cases} hippocampus cases, one process each, median of {arguments.repeats}")
    for stage, results in rows.items():
        medians = {tool: statistics.median(seconds for seconds, _ in runs) for tool, runs in results.items()}
        for tool, runs in results.items():
            peak = max(memory for _, memory in runs)
            print(f"  {stage:<11} {tool:<13} {medians[tool]:7.2f} s   peak {peak:6.0f} MB")
        if len(medians) == 2:
            print(f"  {stage:<11} ratio         {medians['mist-medical'] / medians['mist_bundle']:7.2f}")


if __name__ == "__main__":
    main()
