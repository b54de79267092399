"""Refuse to predict with weights that were never trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ignite.engine import Engine, Events


class RequireWeights:
    """Stop an evaluator before its first case when none of the weight files exists."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = list(paths)

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedEvaluator."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Raise FileNotFoundError naming the files."""
        if not any(Path(path).is_file() for path in self.paths):
            raise FileNotFoundError(f"no weights at {', '.join(self.paths)}. Train the bundle first.")
