"""A bundle's workflow as a user without mist_bundle runs it: `python -m monai.bundle run`, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

WITHOUT_MIST_BUNDLE = (
    "import sys, runpy; sys.modules['mist_bundle'] = None; sys.argv[0] = 'monai.bundle'; "
    "runpy.run_module('monai.bundle', run_name='__main__')"
)


def run_monai(run_id: str, config: Path, *overrides: str, cwd: Path, exit_code: int = 0) -> str:
    """Run it where mist_bundle cannot be imported; what it printed."""
    words = ["run", run_id, "--config_file", str(config), *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-c", WITHOUT_MIST_BUNDLE, *words]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == exit_code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr
