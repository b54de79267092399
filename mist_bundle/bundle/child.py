"""Run a module in a process that ends with its parent, ends quietly on signals, and reports why it failed.

`python -m mist_bundle.bundle.child monai.bundle run training …` does what `python -m monai.bundle run training …`
does, except that

- it ends with its parent, however that ends;
- SIGINT, SIGTERM, SIGHUP and SIGBREAK end it without a traceback, with exit code 128 + number. Worker processes are
  ended, exit functions (`atexit`) run and the standard streams are flushed; threads are not waited for, and other files
  that are still open are not flushed;
- the reason of a failure goes, as a sentence, to the file that MIST_BUNDLE_REASON names; a traceback is printed for
  unexpected errors only;
- MONAI does not log the settings that the user has just typed, nor decoders that are not installed;
- modules of MONAI, and what they import, are imported when they are needed (`lean_imports`);
- MONAI is imported without garbage collection, and later collections leave out what was imported.

Without a signal it ends as every Python process does. Taking all modules apart costs little there, because the
collector leaves MONAI's out.
"""

from __future__ import annotations

import atexit
import ctypes
import errno
import gc
import importlib
import logging
import multiprocessing
import os
import runpy
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

from mist_bundle.bundle import lean_imports
from mist_bundle.runtime.predictions.say import REASON

PARENT = "MIST_BUNDLE_PARENT"  # its process id
_SIGNAL_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # no system has all of them
SIGNALS = tuple(getattr(signal, name) for name in _SIGNAL_NAMES if hasattr(signal, name))
_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 1.0
_EXIT_SECONDS = 10.0  # for exit functions after a signal; `launch` waits for longer
_MEMORY_WORDS = (
    "can't allocate memory",
    "out of memory",
    "bad_alloc",
    "cannot allocate memory",
    "bad allocation",
    "failed to map segment",
    "memoryerror",
)
_LAUNCHER = "torch.distributed.run"
_MONAI = "monai.bundle"
_CHATTY = ("monai.bundle.scripts", "monai.bundle.workflows", "monai.data.nvimgcodec_pydicom_plugin")


class Interrupted(BaseException):
    """A signal requested the end of this process."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(words: list[str]) -> NoReturn:
    """Run the module named by the first word with the other words as its arguments; never returns."""
    die_with_parent(int(os.environ.pop(PARENT, os.getppid())))
    if words[0] != _LAUNCHER:  # which hands signals on to its workers by itself
        raise_on_signals()
    if words[0] == _MONAI:
        lean_imports.install()
        quiet_monai()
    try:
        code = _run(words)
        _redirect_signals(_end_on_signal)
        atexit.register(_redirect_signals, _leave_on_signal)
    except Interrupted as interruption:
        _end_at_once(128 + interruption.number)
    except KeyboardInterrupt:
        _end_at_once(128 + signal.SIGINT)
    sys.exit(code)


def _run(words: list[str]) -> int:
    """Run the module, report its failure, and return the exit code."""
    sys.argv = words
    try:
        if words[0] == _MONAI:
            _import_without_collections(_MONAI)
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return _exit_code(end)
    except Exception as error:  # noqa: BLE001 - any error is reported
        _report(error)
        return 1
    return 0


def quiet_monai() -> None:
    """Leave out what MONAI logs about its own start: the settings that the user has just typed, and missing codecs."""
    for name in _CHATTY:
        logging.getLogger(name).addFilter(_is_serious)


def _is_serious(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def die_with_parent(parent: int) -> None:
    """End this process (SIGTERM) when its parent ends, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    elif hasattr(os, "getppid"):
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it ended before this process registered
        os._exit(128 + signal.SIGTERM)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def raise_on_signals() -> dict[int, Any]:
    """Make signals that request an end raise Interrupted, and return the former handlers.

    Signals that are ignored (nohup) stay so.
    """
    former: dict[int, Any] = {}
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            former[number] = signal.signal(number, interrupt)
    return former


@contextmanager
def signals_raise() -> Iterator[None]:
    """Make signals that request the end of this process raise Interrupted while the block runs."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers signals to the main thread only
        return
    former = raise_on_signals()
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal by raising Interrupted, once."""
    del frame
    _ignore_signals()
    raise Interrupted(number)


def _ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1


def _import_without_collections(name: str) -> None:
    """Import a module without the searches for unreachable objects, which find none and take a fifth of the time.

    What is imported stays for good, so later searches leave it out too.
    """
    gc.disable()
    try:
        importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def _redirect_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    """Let another function handle the signals that this module handles."""
    for number in SIGNALS:
        if signal.getsignal(number) in (interrupt, _end_on_signal):
            signal.signal(number, handler)


def _end_on_signal(number: int, frame: FrameType | None) -> None:
    """Handle a signal while the process, whose work is done, waits for threads."""
    del frame
    _ignore_signals()
    _end_at_once(128 + number)


def _leave_on_signal(number: int, frame: FrameType | None) -> None:
    """Handle a signal while exit functions run: they must not run twice."""
    del frame
    _leave(128 + number)


def _end_at_once(code: int) -> NoReturn:
    """End without waiting for threads that still fill queues, but end worker processes and run exit functions."""
    for child in multiprocessing.active_children():
        child.terminate()
    # one that waits, for instance for the thread of a queue that nobody reads, does not keep the process
    limit = threading.Timer(_EXIT_SECONDS, _leave, [code])
    limit.daemon = True
    limit.start()
    atexit._run_exitfuncs()
    _leave(code)


def _leave(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001 - closed, without a reader, or what other code put there: it ends anyway
            continue
    os._exit(code)


def _report(error: Exception) -> None:
    reason = reason_of(error)
    if reason is None:
        traceback.print_exception(error)
        root = root_cause(error)
        text = " ".join(str(root).split())
        reason = f"an unexpected error ended it: {type(root).__name__}: {text} (see its traceback above)"
    file = os.environ.get(REASON)
    if file:
        Path(file).write_text(reason, encoding="utf-8")
    else:
        sys.stderr.write(f"{reason}\n")


def root_cause(error: BaseException) -> BaseException:
    """Return the error from which MONAI's `Failed to evaluate …` were raised."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def reason_of(error: BaseException) -> str | None:
    """Return a sentence for an error that the user can mend; None for others, whose traceback is needed."""
    root = root_cause(error)
    text = " ".join(str(root).split())
    if isinstance(root, MemoryError) or any(word in text.lower() for word in _MEMORY_WORDS):
        return f"out of memory ({text[:200] or type(root).__name__}). Try a smaller --batch_size or --patch_size."
    if isinstance(root, OSError) and root.errno is not None:
        place = f"{root.filename}: " if isinstance(root.filename, str) else ""
        advice = _ADVICE.get(root.errno, "")
        return f"{place}{root.strerror}.{advice}"
    if isinstance(root, OSError) and "requested and" in text:  # how numpy says that a file was cut short
        return f"a file could not be written to its end ({text}). The disk may be full: make room and continue."
    if _is_deliberate(root):
        return str(root).strip() or type(root).__name__
    return None


_ADVICE = {
    errno.ENOSPC: " Make room and continue; what was finished before is intact.",
    errno.EDQUOT: " Your quota is used up; make room and continue. What was finished before is intact.",
    errno.EFBIG: " Files may not grow that large here (ulimit -f). What was finished before is intact.",
    errno.EROFS: " Choose another folder with --work_dir, or make this folder writable.",
    errno.EACCES: " Choose another folder, or change its permissions.",
    errno.EPERM: " Choose another folder, or change its permissions.",
}


def _is_deliberate(error: BaseException) -> bool:
    """Whether the bundle's scripts raised it on purpose, so that its message says what to do."""
    if type(error).__module__.startswith("scripts."):
        return True
    if not isinstance(error, (ValueError, FloatingPointError, OSError, ModuleNotFoundError)):
        return False
    return _raised_in_scripts(error.__traceback__)


def _raised_in_scripts(trace: TracebackType | None) -> bool:
    place = ""
    while trace is not None:
        place = trace.tb_frame.f_code.co_filename
        trace = trace.tb_next
    return "scripts" in Path(place).parts[:-1]


if __name__ == "__main__":
    main(sys.argv[1:])
