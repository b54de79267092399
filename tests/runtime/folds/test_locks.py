"""One holder at a time, between processes, and none when the holder is dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mist_bundle.runtime.folds.locks import Lock, LockedError, locked

HOLD = """
import sys, time, os
from pathlib import Path
from mist_bundle.runtime.folds.locks import Lock
lock = Lock(Path(sys.argv[1])); lock.acquire()
if len(sys.argv) > 2 and os.fork() == 0:
    time.sleep(60)  # as a worker of a data loader does
print('held', flush=True); time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", HOLD, str(tmp_path / "lock"), "fork"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def test_another_process_is_named(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(LockedError) as caught:
        Lock(tmp_path / "lock").acquire()
    assert caught.value.holder.startswith(f"process {holder.pid} on ")


def test_a_killed_holder_holds_nothing_though_its_children_live(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    lock = Lock(tmp_path / "lock")
    lock.acquire(wait_seconds=10)
    with pytest.raises(LockedError):
        Lock(tmp_path / "lock").acquire()
    lock.release()


def test_the_same_process_holds_it_once(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(LockedError):
        Lock(tmp_path / "lock").acquire()
    with locked(tmp_path / "lock", remove=True):
        pass
    assert not (tmp_path / "lock").exists()
