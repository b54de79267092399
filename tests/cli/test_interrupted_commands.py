"""A command interrupted while no workflow runs removes what is half-done and names the command that continues."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle.dataset.phantom import make_phantom

# stops while the bundle is half-written, which a person could not time
PROGRAM = """
import os, signal, sys
from mist_bundle import cli
from mist_bundle.bundle import generate
number = int(sys.argv.pop(1))
signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background, it is ignored
generate.write_manifest = lambda folder: os.kill(os.getpid(), number)
sys.exit(cli.main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_autoconfig_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    data = make_phantom(tmp_path / "data", num_cases=4, num_test=0, shape=(16, 16, 12))
    words = ["autoconfig", str(data), "--output", str(tmp_path / "out"), "--folds", "2", "--recipe", "quick"]
    command = [sys.executable, "-c", PROGRAM, str(int(number)), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 128 + number, done.stderr
    assert done.stderr.strip() == f"Interrupted by {number.name}. Continue with: mist-bundle {' '.join(words)}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
