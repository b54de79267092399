"""Modules of this package that are run as processes of their own, with a JSON request, and why one of them ended."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping

_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Unsupported|Interrupt|Warning)\b")
_REASON_LENGTH = 400


def run_worker(module: str, request: Mapping[str, str]) -> str:
    """Run a module with a request as its only argument; "" when it went well, else the exception that ended it.

    A process of its own: what one request loads or breaks leaves the next one alone, and a bundle's `scripts` never
    meet another's. The working directory is the caller's, so that no bundle decides what is imported.
    """
    command = [sys.executable, "-m", module, json.dumps(dict(request))]
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    return "" if run.returncode == 0 else _reason(run.stderr) or f"ended with exit code {run.returncode}."


def _reason(stderr: str) -> str:
    """The exception that ended a process, as one short text."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    starts = [index for index, line in enumerate(lines) if _EXCEPTION.match(line)]
    text = " ".join(lines[starts[-1] :] if starts else lines[-3:])
    return text if len(text) <= _REASON_LENGTH else f"{text[:_REASON_LENGTH]} …"
