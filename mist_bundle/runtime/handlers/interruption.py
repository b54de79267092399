"""End a training on SIGINT and SIGTERM with a sentence that says what is kept and how to continue."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any


class Interruption:
    """Handles the signals that end a training, while it runs.

    A program around the training that handles these signals itself is left alone.

    Args:
        kept: says what of the training is kept.
        silent: end without a sentence, as all processes but the first do.
    """

    def __init__(self, kept: Callable[[], str], silent: bool = False) -> None:
        self.kept = kept
        self.silent = silent
        self._former_handlers: dict[int, Any] = {}

    def begin(self) -> None:
        """Handle the signals from now on; only the main thread of a program can."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                self._former_handlers[number] = signal.signal(number, self._interrupted)

    def end(self) -> None:
        """Restore the handlers from before."""
        for number, handler in self._former_handlers.items():
            signal.signal(number, handler)
        self._former_handlers = {}

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        del frame
        for handled in self._former_handlers:
            signal.signal(handled, signal.SIG_IGN)
        if not self.silent:
            command = shlex.join([*_launcher(), "monai.bundle", *without_resume(sys.argv[1:]), "--resume", "true"])
            sys.stderr.write(f"\nInterrupted. {self.kept()} Continue with: {command}\n")
            sys.stderr.flush()
        raise SystemExit(128 + number)


def _launcher() -> list[str]:
    """The words that started this process, as far as the module that it runs."""
    all_processes = os.environ.get("WORLD_SIZE", "1")
    if all_processes == "1" or "TORCHELASTIC_RUN_ID" not in os.environ:
        return ["python", "-m"]
    local = os.environ.get("LOCAL_WORLD_SIZE", all_processes)
    if local == all_processes:
        return ["torchrun", "--standalone", "--nproc_per_node", local, "-m"]
    nodes = str(int(all_processes) // int(local))
    return ["torchrun", "--nnodes", nodes, "--nproc_per_node", local, "...", "-m"]  # its address is torchrun's own


def without_resume(words: Sequence[str]) -> list[str]:
    """The words of a command line, less `--resume` and its value."""
    kept, skip = [], False
    for word in words:
        is_option = word.startswith("--")
        skip = word == "--resume" if is_option else skip
        if not skip and not word.startswith("--resume="):
            kept.append(word)
        skip = skip and is_option
    return kept
