"""What the numeric options of a plan may be: one row each, checked all together before anything is looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mist_bundle.errors import Problem

if TYPE_CHECKING:
    from mist_bundle.planning.options import PlanOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """Limits of an option: at least `low` (more than it with `open_low`), less than `below`; whole numbers only or not.

    `why` ends the sentence that refuses a value.
    """

    low: float = 0
    open_low: bool = False
    below: float = math.inf
    whole: bool = False
    why: str = ""

    def problem(self, value: Any) -> str | None:
        """A sentence that says what is wrong with a value, or None."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if number and self._holds(value):
            return None
        return f"is {value!r}; expected {self._expected()}{self.why}."

    def _holds(self, value: float) -> bool:
        if self.whole and not isinstance(value, int):
            return False
        return value < self.below and (value > self.low if self.open_low else value >= self.low)

    def _expected(self) -> str:
        kind = "a whole number, " if self.whole else ""
        lowest = f"more than {self.low:g}" if self.open_low else f"{self.low:g} or more"
        return f"{kind}{lowest}" + (f" and less than {self.below:g}" if math.isfinite(self.below) else "")


_COUNT = Bounds(low=1, whole=True)

BOUNDS: dict[str, Bounds] = {
    "folds": Bounds(low=2, whole=True, why=", since each fold is tested once"),
    "val_fraction": Bounds(below=1),
    "epochs": _COUNT,
    "steps_per_epoch": _COUNT,
    "batch_size": _COUNT,
    "learning_rate": Bounds(open_low=True),
    "warmup_steps": Bounds(whole=True, why=" (0 for none)"),
    "weight_decay": Bounds(why=" (0 for none)"),
    "l1_penalty": Bounds(why=" (0 for none)"),
    "grad_clip_norm": Bounds(why=" (0 for no clipping)"),
    "accumulation_steps": _COUNT,
    "ema_decay": Bounds(below=1, why=" (0 for none)"),
    "early_stopping": Bounds(whole=True, why=" validations without a better score (0 for never)"),
    "seed": Bounds(whole=True),
}


def number_problems(options: PlanOptions) -> Iterator[Problem]:
    """A Problem for each numeric option that is out of its bounds; those left to the recipe (None) are passed over."""
    for name, bounds in BOUNDS.items():
        value = getattr(options, name)
        text = None if value is None else bounds.problem(value)
        if text is not None:
            yield Problem(f"--{name}", text)
