"""Processes that end with their parent, end quietly when told to, and say in one sentence why they failed."""

from __future__ import annotations

import errno
import functools
import gc
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mist_bundle.bundle import child
from mist_bundle.bundle.child import quiet_monai, reason_of
from mist_bundle.runtime.predictions.say import REASON

WAITS = "import time\nprint('ready', flush=True)\ntime.sleep(60)\n"
STARTS = """
import os, subprocess, sys
environment = {**os.environ, "MIST_BUNDLE_PARENT": str(os.getpid())}
process = subprocess.Popen([sys.executable, "-m", "mist_bundle.bundle.child", "waits"], env=environment)
print(process.pid, flush=True)
process.wait()
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules that a child can run."""
    root = str(Path(child.__file__).resolve().parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), root]))
    (tmp_path / "waits.py").write_text(WAITS)
    return tmp_path


def _is_alive(pid: int) -> bool:
    try:
        return b"\0waits" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_a_killed_parent_takes_its_child_along(modules: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTS], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline() == "ready\n"
        assert _is_alive(pid)
        parent.kill()
    until = time.monotonic() + 20
    while _is_alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _is_alive(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_word(modules: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-m", "mist_bundle.bundle.child", "waits"]
    # a suite that was started in the background ignores SIGINT, and so would its children
    heed = functools.partial(signal.signal, number, signal.SIG_DFL)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert said == ""


@pytest.mark.parametrize(
    ("code", "exit_code", "reason", "trace"),
    [
        (
            "raise OSError(28, 'No space left on device', '/x/last.pt')",
            1,
            "/x/last.pt: No space left on device. Make",
            False,
        ),
        ("raise MemoryError", 1, "out of memory (MemoryError). Try a smaller --batch_size", False),
        ("raise ImportError('libx.so: failed to map segment from shared object')", 1, "out of memory (libx.so", False),
        ("raise SystemExit(0)", 0, "", False),
        ("raise KeyError('x')", 1, "an unexpected error ended it: KeyError: 'x'", True),
        ("import scripts.own", 1, "the loss is nan in epoch 2, cases ['a'].", False),
    ],
)
def test_a_failure_is_reported_in_one_sentence(
    modules: Path, code: str, exit_code: int, reason: str, trace: bool
) -> None:
    (modules / "scripts").mkdir()
    (modules / "scripts/own.py").write_text("raise FloatingPointError(\"the loss is nan in epoch 2, cases ['a'].\")")
    wrapped = f"try:\n    {code}\nexcept Exception as error:\n    raise RuntimeError('Failed to evaluate') from error\n"
    (modules / "fails.py").write_text(wrapped)
    words = [sys.executable, "-m", "mist_bundle.bundle.child", "fails"]
    environment = {**os.environ, REASON: str(modules / "reason.txt")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    told = (modules / "reason.txt").read_text() if (modules / "reason.txt").is_file() else ""
    assert done.returncode == exit_code
    assert told.startswith(reason)
    assert ("Traceback" in done.stderr) == trace
    assert "\n" not in told


def test_errors_that_users_can_mend_are_told_apart() -> None:
    assert "ulimit" in str(reason_of(OSError(errno.EFBIG, "File too large", "/x")))
    assert "writable" in str(reason_of(OSError(errno.EROFS, "Read-only file system", "/x")))
    assert "--patch_size" in str(reason_of(RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")))
    assert reason_of(TypeError("f() takes no argument")) is None
    assert reason_of(ValueError("from a library")) is None


def test_what_monai_says_about_its_start_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    name = "monai.bundle.scripts"
    before = list(logging.getLogger(name).filters)
    quiet_monai()
    try:
        with caplog.at_level(logging.INFO, logger=name):
            logging.getLogger(name).info("--- input summary ---")
            logging.getLogger(name).error("an error")
    finally:
        for part in ("monai.bundle.scripts", "monai.bundle.workflows", "monai.data.nvimgcodec_pydicom_plugin"):
            logging.getLogger(part).filters[:] = before
    assert [record.message for record in caplog.records] == ["an error"]


LEAVES_OPEN = """
import atexit, sys, tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

folder = Path(sys.argv[1])
held = (folder / "held.txt").open("w")  # never closed
held.write("written")
raw = (folder / "raw.bin").open("wb")
raw.write(b"written")
scratch = tempfile.TemporaryDirectory(dir=folder)
atexit.register((folder / "at_exit.txt").write_text, "called")

def late():
    time.sleep(0.3)
    (folder / "late.txt").write_text("done")

threading.Thread(target=late).start()
pool = ThreadPoolExecutor(1)  # never shut down
pool.submit(late)
print("printed", end="")
"""


@pytest.mark.parametrize(("last_line", "code"), [("", 0), ("sys.exit(3)", 3), ("raise ValueError('no')", 1)])
def test_it_ends_as_python_does(modules: Path, tmp_path: Path, last_line: str, code: int) -> None:
    (modules / "leaves_open.py").write_text(LEAVES_OPEN + last_line)
    folder = tmp_path / "out"
    folder.mkdir()
    words = [sys.executable, "-m", "mist_bundle.bundle.child", "leaves_open", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (code, "printed"), done.stderr
    content = {path.name: path.read_text() for path in folder.iterdir()}
    assert content == {"held.txt": "written", "raw.bin": "written", "at_exit.txt": "called", "late.txt": "done"}


def test_the_collector_works_again_after_an_import_that_failed() -> None:
    try:
        with pytest.raises(ModuleNotFoundError):
            child._import_without_collections("no.such.module")
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
