"""Train several folds at the same time, each in processes of its own, on devices or cores of its own."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from mist_bundle.bundle import child
from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.launch import TRAINING, RunningWorkflow, WorkflowFailed
from mist_bundle.bundle.placement import Placement
from mist_bundle.errors import CaseFailure, Interrupted, Problem

_POLL_SECONDS = 0.2
_REFRESH_SECONDS = 2.0  # between looks at the status of the folds, which changes once an epoch
_MOST_LOADER_THREADS = 8


def train_side_by_side(
    bundle: Bundle, folds: Sequence[int], overrides: Mapping[str, Any], placements: Sequence[Placement]
) -> None:
    """Train folds, as many at a time as there are placements, with a display of the progress of all of them.

    Args:
        bundle: the bundle, with its work folder.
        folds: which.
        overrides: ids of train.json, for every fold.
        placements: where the folds at a time are trained.

    Raises:
        CaseFailure: naming every fold whose training failed; the others were trained.
        Interrupted: a signal ended this process, and with it all trainings.
    """
    waiting, free = list(folds), list(placements)
    running: dict[int, _Training] = {}
    problems: list[Problem] = []
    with FoldsDisplay(bundle, folds, sys.stderr) as display, child.signals_raise():
        try:
            while waiting or running:
                while waiting and free:
                    fold = waiting.pop(0)
                    running[fold] = _Training(bundle.root, fold, overrides, free.pop(0), display)
                time.sleep(_POLL_SECONDS)
                for fold, training in list(running.items()):
                    if training.has_ended():
                        del running[fold]
                        free.append(training.placement)
                        problems += training.problems()
                display.refresh(list(running))
        except child.Interrupted as interruption:
            raise Interrupted(
                interruption.number, f"Interrupted by {signal.Signals(interruption.number).name}."
            ) from None
        finally:
            for training in running.values():
                training.workflow.ask_to_end()  # all at once, before the first is waited for
            for training in running.values():
                training.end()
    if problems:
        raise CaseFailure(sorted(problems, key=str), len(folds), "trainings")


class _Training:
    """The training of a fold in a process of its own; a thread shows what it says."""

    def __init__(
        self, bundle: Path, fold: int, overrides: Mapping[str, Any], placement: Placement, display: FoldsDisplay
    ) -> None:
        self.fold = fold
        self.placement = placement
        settings = {"fold": fold, **overrides}
        if placement.threads is not None:
            settings.setdefault("workers", min(_MOST_LOADER_THREADS, placement.threads))
        self.workflow = RunningWorkflow(bundle, TRAINING, settings, placement, captured=True)
        self._display = display
        self._reader = threading.Thread(target=self._show, daemon=True)
        self._reader.start()

    def _show(self) -> None:
        for line in self.workflow.process.stdout or ():
            self._display.show(self.fold, line.rstrip())

    def has_ended(self) -> bool:
        """Whether its process is gone."""
        return self.workflow.process.poll() is not None

    def problems(self) -> list[Problem]:
        """Why it failed, after it has ended; empty if it did not."""
        self._reader.join(_REFRESH_SECONDS)
        try:
            self.workflow.check()
        except WorkflowFailed as failure:
            return [Problem(f"fold {self.fold}", str(failure))]
        finally:
            self.workflow.close()
        return []

    def end(self) -> None:
        """End it if it still runs, and show the last of what it says."""
        self.workflow.stop()
        self._reader.join(_REFRESH_SECONDS)
        self.workflow.close()


class FoldsDisplay:
    """What the trainings of several folds say, each line with its fold, and on a terminal a bar over all of them.

    Args:
        bundle: the bundle, with its work folder.
        folds: all folds of this run.
        stream: where to write.
    """

    def __init__(self, bundle: Bundle, folds: Sequence[int], stream: TextIO) -> None:
        self._bundle = bundle
        self._folds = folds
        self._stream = stream
        self._next_look = 0.0
        self._bar: tqdm[Any] | None = None
        if stream.isatty():
            layout = "{percentage:3.0f}% |{bar:10}| {desc} [{elapsed}<{remaining}]"
            self._bar = tqdm(total=0, file=stream, dynamic_ncols=True, bar_format=layout)

    def show(self, fold: int, line: str) -> None:
        """Write a line of the training of a fold, above the bar."""
        if line:
            tqdm.write(f"fold {fold}: {line}", file=self._stream)
            self._stream.flush()

    def refresh(self, running: Sequence[int]) -> None:
        """Show how far all folds are, every two seconds.

        Args:
            running: the folds that are being trained.
        """
        if self._bar is None or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _REFRESH_SECONDS
        finished, epochs, parts = 0, 0, []
        for fold in self._folds:
            status = self._bundle.fold(fold).status or {}
            finished += int(status.get("epoch", 0))
            epochs = max(epochs, int(status.get("epochs", 0)))
            if fold in running:
                parts.append(_progress_text(fold, status))
        self._bar.total = epochs * len(self._folds)
        self._bar.n = finished
        self._bar.set_description_str(", ".join(parts), refresh=False)
        self._bar.refresh()

    def __enter__(self) -> FoldsDisplay:
        """Enter the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def _progress_text(fold: int, status: Mapping[str, Any]) -> str:
    if not status:
        return f"fold {fold} begins"
    text = f"fold {fold} {status['epoch']}/{status['epochs']}"
    score = status.get("best_score")
    return text if score is None else f"{text} best {score:.3f}"
