"""Install what the tests need into the environment of this Python; says at least every ten seconds what it is doing.

Called by scripts/setup. pip's whole output is in .venv/setup.log.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

VENV = Path(sys.prefix)
LOG = VENV / "setup.log"
PATIENCE = 10  # seconds without a line
ATTEMPTS = 3
TORCH = "torch==2.13.0"


def main(extra: str) -> int:
    """Install in steps; returns the exit code."""
    started = time.monotonic()
    LOG.write_bytes(b"")
    steps = [
        ("pip itself", ["--upgrade", "pip"]),
        # alone and first: a local or CPU-only wheel of this version then satisfies whatever asks for torch later on
        (f"PyTorch ({TORCH})", [TORCH]),
        (f"mist_bundle and what its tests need ([{extra}])", ["-c", "constraints.txt", "-e", f".[{extra}]"]),
    ]
    for number, (what, words) in enumerate(steps, start=1):
        say(f"step {number} of {len(steps)}: {what}")
        if not install(words):
            print(f"scripts/setup: pip failed; its last lines, and all of them in {LOG}:", file=sys.stderr)
            print("\n".join(LOG.read_text("utf-8", "replace").splitlines()[-15:]), file=sys.stderr)
            return 1
    say(f"done in {duration(time.monotonic() - started)}; {VENV} holds {folder_size(VENV)}")
    return 0


def install(words: list[str]) -> bool:
    """Run pip install, tried again a few times: a mirror that is briefly away is no reason to start over."""
    for attempt in range(1, ATTEMPTS + 1):
        if run_pip(words) == 0:
            return True
        if attempt < ATTEMPTS:
            say(f"  pip failed (attempt {attempt} of {ATTEMPTS}), again in {5 * attempt} s; see {LOG}")
            time.sleep(5 * attempt)
    return False


def run_pip(words: list[str]) -> int:
    """Run pip, pass on the lines that tell of downloads, and show that it lives where it says nothing."""
    started = time.monotonic()
    pip = subprocess.Popen(
        [sys.executable, "-m", "pip", "install", "--progress-bar", "off", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=read_lines, args=(pip, lines), daemon=True).start()
    said = time.monotonic()
    with LOG.open("a", encoding="utf-8") as log:
        while True:
            try:
                line = lines.get(timeout=PATIENCE)
            except queue.Empty:
                line = ""
            if line is None:
                return pip.wait()
            log.write(line)
            message = worth_saying(line)
            if not message and time.monotonic() - said >= PATIENCE:
                message = f"still at it after {duration(time.monotonic() - started)}, {folder_size(VENV)} installed"
            if message:
                say(f"  {message}")
                said = time.monotonic()


def read_lines(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Put every line into the queue, and None at the end."""
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def worth_saying(line: str) -> str:
    """What a line of pip's tells a waiting person, or nothing."""
    download = re.match(r"\s*(Downloading|Using cached) (\S+?)(?:-[^-]+){2,3}\.whl(?:\.metadata)? \((.+)\)", line)
    if download and "metadata" not in line and download[3].endswith(("MB", "GB")):
        verb = "downloading" if download[1] == "Downloading" else "from the cache:"
        return f"{verb} {download[2]} ({download[3]})"
    if line.startswith("Installing collected packages:"):
        packages = line.split(":", 1)[1].split(", ")
        return f"unpacking {len(packages)} packages" if len(packages) > 1 else f"unpacking{packages[0].rstrip()}"
    return ""


def folder_size(folder: Path) -> str:
    """Sum of the files in a folder, in words."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # pip's temporary files come and go
                total += os.lstat(Path(path) / name).st_size
    return f"{total / 1e9:.1f} GB" if total > 1e9 else f"{total / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    """Seconds in words."""
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.0f} s"


def say(text: str) -> None:
    """A line that appears at once."""
    print(f"scripts/setup: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
