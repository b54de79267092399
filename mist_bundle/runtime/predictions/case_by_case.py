"""Each case of an inference by itself: a case that fails is named with its file and reason, and the others continue."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.data import MetaTensor

from ..inferers.ensemble import is_out_of_memory
from ..reading.formats import read_volume
from .loader import FAILURE, ITEM, PREDICTED, REPLACED
from .records import Predictions
from .say import failures_are_reported, say

logger = logging.getLogger(__name__)

WARNINGS = "warnings"  # key of a case's oddities, a line each
# no later case would fare better
_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class CaseByCase:
    """The `iteration_update` of an evaluator over a `CaseLoader`.

    Args:
        predictions: where failures are written down; existing label maps are taken from it.
        key: of the label map in the output.
    """

    def __init__(self, predictions: Predictions, key: str = "pred") -> None:
        self.predictions = predictions
        self.key = key
        self.failures: dict[str, str] = {}
        self.num_cases = 0
        self._items: dict[str, Mapping[str, Any]] = {}

    def __call__(self, engine: Any, batch: dict[str, Any]) -> Any:
        """Run a case through the evaluator's own step.

        Returns:
            The decollated output of the evaluator; nothing for a case that failed.

        Raises:
            OSError: the disk is full or cannot be written to.
        """
        item = batch.pop(ITEM)
        case = str(item["id"])
        self.num_cases += 1
        try:
            if FAILURE in batch:
                raise batch[FAILURE]
            if PREDICTED in batch:
                return self._already_predicted(engine, item)
            if why := batch.pop(REPLACED, ""):
                say(f"{case}: predicted again; its label map {why}")
            self._items[case] = item
            self._warn(case, batch.pop(WARNINGS, None))
            return engine._iteration(engine, batch)  # what the engine would do without this class
        except Exception as error:  # noqa: BLE001 - what a file or device does is this case's failure
            self._failed(item, error)
            engine.state.batch, engine.state.output = [], []
            return []
        except BaseException:  # an interrupt: files are complete or not there
            self.predictions.writer.stop()
            raise
        finally:
            self._settle(wait=engine.state.iteration >= (engine.state.epoch_length or 0))

    def _failed(self, item: Mapping[str, Any], error: BaseException) -> None:
        cause = _cause(error)
        if isinstance(cause, OSError) and cause.errno in _FATAL:
            self.predictions.writer.stop()
            raise cause from error
        logger.debug("case %s", item["id"], exc_info=error)
        self.fail(str(item["id"]), reason_of(error, item))

    def _settle(self, *, wait: bool) -> None:
        """Tell which files could not be written; after the last case all are waited for."""
        writer = self.predictions.writer
        if wait:
            writer.settle()
        for case, error in writer.take_errors().items():
            self._failed(self._items[case], error)

    def fail(self, case: str, reason: str) -> None:
        """Name a case that failed, now and at the end."""
        self.failures[case] = reason
        self.predictions.failed(case, reason)
        say(f"failed: {case}: {reason}")

    def finish(self) -> None:
        """End the program with exit code 1 where cases failed; the last step of a bundle's run list."""
        if not self.failures:
            return
        if failures_are_reported():
            raise SystemExit(1)
        lines = [f"{len(self.failures)} of {self.num_cases} cases failed:"]
        for case in sorted(self.failures):
            lines.append(f"{case}: {self.failures[case]}")
        say("\n".join(lines))
        raise SystemExit(1)

    def _already_predicted(self, engine: Any, item: Mapping[str, Any]) -> Any:
        case = str(item["id"])
        volume = read_volume(self.predictions.path(case))
        label = MetaTensor(torch.from_numpy(volume.array.copy())[None], affine=torch.from_numpy(volume.affine))
        engine.state.batch = [dict(item)]
        engine.state.output = [{self.key: label}]
        return engine.state.output

    def _warn(self, case: str, warnings: Sequence[str] | None) -> None:
        lines = warnings[0].splitlines() if warnings else []
        self.predictions.warn(case, lines)
        for line in lines:
            say(f"warning: {case}: {line}")


def reason_of(error: BaseException, item: Mapping[str, Any]) -> str:
    """Why a case failed, with the name of a file of it."""
    error = _cause(error)
    plain = isinstance(error, (ValueError, OSError)) and str(error)
    reason = str(error) if plain else f"{type(error).__name__}: {error}"
    if is_out_of_memory(error):
        advice = "Try a smaller --memory (gigabytes; 1 by default), --device cpu, or a machine with more memory."
        reason = f"does not fit into memory ({type(error).__name__}). {advice}"
    images = item["image"] if isinstance(item["image"], (list, tuple)) else [item["image"]]
    for path in images:
        if Path(path).name in reason:
            return reason
    return f"{images[0]}: {reason}"


def _cause(error: BaseException) -> BaseException:
    """What happened, without MONAI's "applying transform …" around it."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error
