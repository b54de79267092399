"""Whether options that are given once more are those that a bundle was configured with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.options import PlanOptions
from mist_bundle.runtime.folds.state import plain

# option -> field of the plan, where the names differ
_FIELDS = {"target_spacing": "target_spacing_mm", "class_weights": "loss_class_weights", "folds": "num_folds"}
# options that a plan answers with something else than they ask for
_ANSWERED = frozenset({"class_weights", "network", "loss", "network_arguments", "loss_arguments", "warmup_steps"})


def refuse_other_options(bundle: Path, asked: PlanOptions, names: Iterable[str]) -> None:
    """Raise InputError naming each option among `names` that asks for something else than the bundle's plan has.

    A patch that was changed into one that the network takes, and the like, is the same wish.
    """
    problems, plan = [], Bundle(bundle).plan
    for name in names:
        field = _FIELDS.get(name, name)
        if name in _ANSWERED or not hasattr(plan, field):
            continue
        wanted, found = plain(getattr(asked, name, None)), getattr(plan, field)
        because = found.because if isinstance(found, Decision) else ""
        has = plain(found.value if isinstance(found, Decision) else found)
        if wanted is not None and wanted != has and "Changed from" not in because:
            message = f"is {_text(wanted)}, but the bundle that is there was configured with {_text(has)}."
            problems.append(Problem(f"--{name}", message))
    if problems:
        advice = "goes on with that bundle. Leave these options out, or choose another --output."
        raise InputError([*problems, Problem("--resume", advice)])


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
