"""A module of a request runs in a process of its own; what ends it is returned in a sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mist_bundle.bundle.worker import run_worker


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Source file of a module in the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "worker_of_a_test.py"


def test_the_request_is_its_argument(module: Path, tmp_path: Path) -> None:
    module.write_text("import json, sys\nopen(json.loads(sys.argv[1])['file'], 'w').write('done')\n")
    assert run_worker(module.stem, {"file": str(tmp_path / "result")}) == ""
    assert (tmp_path / "result").read_text() == "done"


def test_the_last_exception_is_the_reason(module: Path) -> None:
    module.write_text("try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise ValueError('two\\nlines') from None\n")
    assert run_worker(module.stem, {}) == "ValueError: two lines"


def test_a_process_that_says_nothing_has_its_exit_code(module: Path) -> None:
    module.write_text("raise SystemExit(3)\n")
    assert run_worker(module.stem, {}) == "ended with exit code 3."


def test_other_messages_and_long_messages_are_shortened(module: Path) -> None:
    module.write_text("import sys\nfor line in 'abcde':\n    print(line, file=sys.stderr)\nsys.exit(1)\n")
    assert run_worker(module.stem, {}) == "c d e"
    module.write_text("raise ValueError('x' * 1000)\n")
    reason = run_worker(module.stem, {})
    assert reason.endswith(" …")
    assert len(reason) < 410


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_ends_when_the_command_that_started_it_is_killed(module: Path, tmp_path: Path) -> None:
    number = tmp_path / "number"
    module.write_text(f"import os, time\nopen({str(number)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    code = f"from mist_bundle.bundle.worker import run_worker; run_worker({module.stem!r}, {{}})"
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as command:
        until = time.monotonic() + 60
        while not (number.is_file() and number.read_text()):
            assert time.monotonic() < until, "the worker did not start"
            time.sleep(0.05)
        command.send_signal(signal.SIGKILL)
    worker = int(number.read_text())
    while Path(f"/proc/{worker}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    lives_on = Path(f"/proc/{worker}").exists()
    if lives_on:
        os.kill(worker, signal.SIGKILL)
    assert not lives_on
