"""Running modules of this package as separate processes with a JSON request, and the reason if a process fails."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Mapping

from mist_bundle.bundle.child import PARENT, die_with_parent

_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Unsupported|Interrupt|Warning)\b")
_REASON_LENGTH = 400
_LAST_LINES = 3


def run_worker(module: str, request: Mapping[str, str]) -> str:
    """Run a module with a request as its only argument.

    A separate process keeps requests independent of each other, so a bundle's `scripts` never meet another's. The
    working directory is the caller's, so that no bundle decides what is imported.

    Returns:
        "" on success, otherwise the exception that ended the process.
    """
    command = [sys.executable, "-m", __name__, module, json.dumps(dict(request))]
    environment = {
        "OMP_WAIT_POLICY": "PASSIVE",
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        PARENT: str(os.getpid()),
    }
    run = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if run.returncode == 0:
        return ""
    return _reason(run.stderr) or f"ended with exit code {run.returncode}."


def main(words: list[str]) -> None:
    """Run the module that the first word names, in a process that ends when its parent does."""
    die_with_parent(int(os.environ.pop(PARENT, os.getppid())))
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


def _reason(stderr: str) -> str:
    """The exception that ended a process, as a short text; without an exception, the last lines."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    start = max(0, len(lines) - _LAST_LINES)
    for index, line in enumerate(lines):
        if _EXCEPTION.match(line):
            start = index
    text = " ".join(lines[start:])
    return text if len(text) <= _REASON_LENGTH else f"{text[:_REASON_LENGTH]} …"


if __name__ == "__main__":
    main(sys.argv[1:])
