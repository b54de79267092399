"""Whether the options of a second call are those that a bundle was configured with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.plan import Plan
from mist_bundle.runtime.folds.state import plain
from mist_bundle.runtime.wording import option_text

# option -> field of the plan, where the names differ
_FIELDS = {"target_spacing": "target_spacing_mm", "class_weights": "loss_class_weights", "folds": "num_folds"}
# options whose field of the plan holds another kind of value
_INCOMPARABLE = frozenset({"class_weights", "network", "loss", "network_arguments", "loss_arguments", "warmup_steps"})


def refuse_other_options(bundle: Path, options: PlanOptions, names: Iterable[str]) -> None:
    """Raise InputError naming each option among `names` whose value differs from the bundle's plan.

    A patch that was changed into a size that the network takes, and the like, counts as the same value.
    """
    plan = Bundle(bundle).plan
    problems = []
    for name in names:
        field = _FIELDS.get(name, name)
        if name in _INCOMPARABLE or not hasattr(plan, field):
            continue
        value = plain(getattr(options, name, None))
        planned, because = _planned(plan, field)
        if value is not None and value != planned and "Changed from" not in because:
            message = (
                f"is {option_text(value)}, but the bundle that is there was configured with {option_text(planned)}."
            )
            problems.append(Problem(f"--{name}", message))
    if problems:
        advice = "continues with that bundle. Leave these options out, or choose another --output."
        raise InputError([*problems, Problem("--resume", advice)])


def _planned(plan: Plan, field: str) -> tuple[Any, str]:
    """The value of a field of the plan, and its reason."""
    decision = getattr(plan, field)
    if isinstance(decision, Decision):
        return plain(decision.value), decision.because
    return plain(decision), ""
