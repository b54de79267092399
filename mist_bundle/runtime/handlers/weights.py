"""Refuse to predict with weights that were never trained, are not there, or are no numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from ..folds.finite import file_problem


class RequireWeights:
    """Stop an evaluator before its first case when the weights that it will predict with cannot be used.

    Args:
        paths: the weights of a single model, and after them those of an ensemble's members, which are used where the
            evaluator's inferer asks for two or more of them.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = list(paths)

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedEvaluator."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Look at the files.

        Raises:
            FileNotFoundError: one is missing.
            ValueError: one holds NaN or infinite numbers.
        """
        if not any(Path(path).is_file() for path in self.paths):
            raise FileNotFoundError(f"no weights at {', '.join(self.paths)}. Train the bundle first.")
        used = _members(engine) or self.paths[:1]
        missing = [path for path in used if not Path(path).is_file()]
        if missing:
            raise FileNotFoundError(f"no weights at {', '.join(missing)}. Name a file of weights that is there.")
        problems = []
        for path in used:
            problem = file_problem(Path(path))
            if problem:
                problems.append(f"{path} {problem}.")
        if problems:
            advice = "Nothing was predicted. Train it anew with a lower --learning_rate, or get the file again."
            raise ValueError(f"{' '.join(problems)} {advice}")


def _members(engine: Engine) -> list[str]:
    """The checkpoints that take turns in the network; none where it is used with the weights that it has."""
    inferer: Any = getattr(engine, "inferer", None)
    while inferer is not None:
        checkpoints = list(getattr(inferer, "checkpoints", ()))
        if len(checkpoints) > 1:
            return checkpoints
        inferer = getattr(inferer, "inferer", None)
    return []
