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
    assert _ended_by(number, "waits") == (128 + number, "")


def _ended_by(number: signal.Signals, *words: str) -> tuple[int, str]:
    """Exit code and standard error of a module that a signal ends once it has printed "ready"."""
    command = [sys.executable, "-m", "mist_bundle.bundle.child", *words]
    # a suite that was started in the background ignores SIGINT, and so would its children
    heed = functools.partial(signal.signal, number, signal.SIG_DFL)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
    return process.returncode, said


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


@pytest.mark.parametrize(("last_line", "code"), [("", 0), ("raise SystemExit(3)", 3), ("raise ValueError('no')", 1)])
def test_it_ends_as_python_does(modules: Path, tmp_path: Path, last_line: str, code: int) -> None:
    (modules / "holds.py").write_text(LEAVES_OPEN)
    (modules / "leaves_open.py").write_text(f"import holds\n{last_line}\n")
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


WAITS_FOR_A_THREAD = """
import atexit, sys, threading, time
from pathlib import Path

def stay():
    threading.main_thread().join()
    time.sleep(0.5)  # until the main thread waits: Python handles a signal that comes just before that after the wait
    print("ready", flush=True)
    time.sleep(60)

threading.Thread(target=stay).start()
atexit.register(Path(sys.argv[1]).write_text, "called")
"""
WAITS_IN_AN_EXIT_FUNCTION = """
import atexit, sys, time
from pathlib import Path

def stay():
    print("ready", flush=True)
    time.sleep(60)

atexit.register(stay)
atexit.register(Path(sys.argv[1]).write_text, "called")
"""
WAITS_WITH_AN_EXIT_FUNCTION = """
import atexit, sys, time
from pathlib import Path

atexit.register(Path(sys.argv[1]).write_text, "called")
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("source", [WAITS_FOR_A_THREAD, WAITS_IN_AN_EXIT_FUNCTION, WAITS_WITH_AN_EXIT_FUNCTION])
def test_a_signal_ends_it_without_a_word_at_its_end_too(modules: Path, source: str, number: signal.Signals) -> None:
    (modules / "stays.py").write_text(source)
    assert _ended_by(number, "stays", str(modules / "at_exit.txt")) == (128 + number, "")
    assert (modules / "at_exit.txt").read_text() == "called"


def test_an_exit_function_that_hangs_does_not_keep_it_after_a_signal(modules: Path) -> None:
    hangs = "import atexit, os, signal, time\natexit.register(time.sleep, 60)\nos.kill(os.getpid(), signal.SIGTERM)\n"
    (modules / "hangs.py").write_text(hangs)
    program = "from mist_bundle.bundle import child\nchild._EXIT_SECONDS = 0.2\nchild.main(['hangs'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")


def test_objects_of_others_do_not_make_a_success_a_failure(modules: Path) -> None:
    half_built = "import gzip\ntry:\n    gzip.open('/no/such/file')\nexcept OSError as error:\n    kept = error\n"
    (modules / "half_built.py").write_text(half_built + "broken = gzip.GzipFile.__new__(gzip.GzipFile)\n")
    words = [sys.executable, "-m", "mist_bundle.bundle.child", "half_built"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


def test_files_that_were_opened_during_the_import_of_monai_are_complete(modules: Path) -> None:
    (modules / "opens.py").write_text(f"held = open({str(modules / 'held.txt')!r}, 'w')\nheld.write('written')\n")
    program = "from mist_bundle.bundle import child\nchild._import_without_collections('opens')"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
    assert (modules / "held.txt").read_text() == "written"
