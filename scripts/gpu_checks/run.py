"""Check a machine with a CUDA device, part by part, each in a process of its own; started by scripts/gpu_check.

A part that fails, or takes longer than its share of the eight minutes, is named in the table, and the others continue.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT)]

TOTAL_SECONDS = 470.0
# part -> seconds of it at most; the last part takes what is left
SHARES = {"loaders": 55.0, "training": 85.0, "memory": 85.0, "prediction": 55.0, "steps": TOTAL_SECONDS}
NOTICE_SECONDS = 6.0  # before a part is ended, so that it can name what it leaves out
NOT_HERE = "No CUDA device here: every part runs on the CPU in a tiny size, to see that it runs. Figures mean nothing."


def run_part(part: str, device: str, seconds: float, folder: Path, rows: Path) -> None:
    """Run a part in this process, on what others left in the folder."""
    import torch
    from bench import FULL, TINY, Bench

    end = time.monotonic() + seconds - NOTICE_SECONDS
    scale = FULL if device == "cuda" else TINY
    bench = Bench(part=part, device=torch.device(device), scale=scale, folder=folder, rows=rows, end=end)
    importlib.import_module(part).check(bench)


def run_in_process(part: str, device: str, seconds: float, folder: Path) -> list[dict[str, Any]]:
    """Run a part in a process of its own and return its rows; the last of them says why it ended early."""
    rows, errors = folder / f"{part}.jsonl", folder / f"{part}.txt"
    words = ["--part", part, "--device", device, "--seconds", f"{seconds:.1f}", "--folder", str(folder)]
    command = [sys.executable, "-W", "ignore", str(Path(__file__).resolve()), *words, "--rows", str(rows)]
    with errors.open("w", encoding="utf-8") as stream:
        # a session of its own: what it started, such as the compilers of torch.compile, is ended with it
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=stream, start_new_session=True)
        reason = _wait(process, seconds)
    found = []
    if rows.is_file():
        for line in rows.read_text(encoding="utf-8").splitlines():
            found.append(json.loads(line))
    if reason == "" and process.returncode != 0:
        lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""]
        reason = f"ended with exit code {process.returncode}: {lines[-1]}"[:300]
    if reason or not found:
        found.append({"part": part, "name": part, "figures": {}, "problem": reason or "no row", "skipped": ""})
    return found


def _wait(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Wait for a process, at most so many seconds; returns why it was ended, or ""."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        reason = f"was ended after {seconds:.3g} s"
    except BaseException:
        _end(process)
        raise
    else:
        return ""
    _end(process)
    return reason


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def table(part: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """The rows of a part as a Markdown table."""
    columns: list[str] = []
    for row in rows:
        for column in row["figures"]:
            if column not in columns:
                columns.append(column)
    lines = ["", f"| {part} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    if not columns:
        lines = ["", f"| {part} | |", "|---|---|"]
    for row in rows:
        cells = [str(row["figures"].get(column, "")) for column in columns] or [""]
        if row["problem"] or row["skipped"]:
            cells[0] = f"failed: {row['problem']}" if row["problem"] else f"left out: {row['skipped']}"
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return lines


def describe(device: str) -> dict[str, Any]:
    """The machine and the versions."""
    import torch

    found: dict[str, Any] = {"device": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    if device == "cuda":
        card = torch.cuda.get_device_properties(0)
        found |= {"device": card.name, "memory_gb": round(card.total_memory / 1e9, 1), "cuda": torch.version.cuda}
        found["cudnn"] = torch.backends.cudnn.version()
    return {**found, "torch": torch.__version__, "python": platform.python_version()}


def main() -> int:
    """Print the table, write the JSON; 0 if nothing failed, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("gpu_check.json"), help="file for the figures")
    parser.add_argument("--parts", nargs="+", choices=tuple(SHARES), default=list(SHARES))
    parser.add_argument("--device", choices=("cuda", "cpu"), help="by default cuda if there is one")
    parser.add_argument("--part", choices=tuple(SHARES), help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=TOTAL_SECONDS, help="for all parts together")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        run_part(options.part, options.device, options.seconds, options.folder, options.rows)
        return 0
    begun = time.monotonic()
    import torch

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    machine = describe(device)
    if device == "cpu":
        sys.stdout.write(f"{NOT_HERE}\n")
    sys.stdout.write(", ".join(f"{name} {value}" for name, value in machine.items()) + "\n")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="gpu_check_") as folder:
        for part in options.parts:
            left = options.seconds - (time.monotonic() - begun)
            found = run_in_process(part, device, max(1.0, min(SHARES[part], left)), Path(folder))
            rows += found
            sys.stdout.write("\n".join(table(part, found)) + "\n")
            sys.stdout.flush()
    seconds = round(time.monotonic() - begun, 1)
    content = {**machine, "on_gpu": device == "cuda", "seconds": seconds, "rows": rows}
    options.output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    failed = [row for row in rows if row["problem"]]
    sys.stdout.write(f"\n{len(rows)} rows in {seconds} s, {len(failed)} failed: {options.output}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
