"""Whether a fold may be trained with these settings, checked before anything is started."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

from mist_bundle.bundle.folder import Bundle, Fold
from mist_bundle.bundle.overrides import load_configs, override_word
from mist_bundle.errors import Problem
from mist_bundle.files import DATALIST_JSON
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.state import (
    ABSENT,
    COMPONENTS,
    differences,
    differences_text,
    is_complete,
    plain,
)
from mist_bundle.runtime.settings import is_expression
from mist_bundle.runtime.wording import option_text

# parts of a training's identity that no option of that name sets
_NO_OPTIONS = frozenset({"plan", "cases"})


class Resumed(enum.Enum):
    """How far an earlier training of a fold came."""

    NOTHING = "nothing"
    STARTED = "started"
    COMPLETE = "complete"


def check_fold(
    bundle: Bundle, number: int, overrides: Mapping[str, Any], *, resume: bool, overwrite: bool
) -> tuple[Resumed, list[Problem]]:
    """How far an earlier training of a fold came, and the reasons against training it now.

    Args:
        bundle: its folder.
        number: the fold.
        overrides: ids of train.json with their new values.
        resume: whether the training is to continue.
        overwrite: whether it may replace what is there.
    """
    fold, place = bundle.fold(number), f"fold {number}"
    if fold.is_being_trained():
        message = "is being trained by another process. Wait for it to end, or train another fold."
        return Resumed.STARTED, [Problem(place, message)]
    if not resume:
        lost = _lost(fold)
        if lost and not overwrite:
            message = f"{lost}. Pass --resume to continue with it, or --overwrite to lose that and start over."
            return Resumed.STARTED, [Problem(place, message)]
        return Resumed.NOTHING, []
    status = fold.status
    if status is None or not fold.has_state:
        if fold.published is not None and not overwrite:
            message = f"has weights ({fold.published.name}), but no state in {fold.folder} to continue from."
            return Resumed.NOTHING, [Problem(place, f"{message} Pass --overwrite to train it again.")]
        return Resumed.NOTHING, []
    epochs = _number(overrides.get("epochs", load_configs([bundle.config_path("train")]).get("epochs")))
    changed = _differences(bundle, status, overrides, epochs)
    if changed:
        return Resumed.STARTED, [Problem(place, _refusal(changed))]
    if is_complete(status, epochs, _number(overrides.get("early_stopping"))):
        return Resumed.COMPLETE, []
    return Resumed.STARTED, []


def _refusal(changed: Sequence[tuple[str, Any, Any]]) -> str:
    options = []
    for name, was, _ in changed:
        if name not in _NO_OPTIONS and was != ABSENT:
            options.append(f"--{name} {option_text(was)}")
    advice = f" ({' '.join(options)})" if options else ""
    return (
        f"was begun with other settings: {differences_text(changed)}. Continue with those that it was begun with"
        f"{advice}, or pass --overwrite instead of --resume to lose it and start over."
    )


def _components(bundle: Bundle, overrides: Mapping[str, Any]) -> dict[str, str]:
    """The values inside of the components of a training with these overrides, as the training itself sees them."""
    from fire.parser import DefaultParseValue  # what MONAI reads its command line with
    from monai.bundle import ConfigParser

    from mist_bundle.runtime.components import component_values

    parser = ConfigParser()
    parser.read_config(str(bundle.config_path("train")))
    parsed = {}
    for name, value in overrides.items():
        parsed[name] = DefaultParseValue(override_word(value))
    parser.update(parsed)
    parser.resolve_macro_and_relative_ids()  # type: ignore[no-untyped-call]
    return component_values(parser.config, str(bundle.root))  # type: ignore[arg-type]


def _differences(
    bundle: Bundle, status: Mapping[str, Any], overrides: Mapping[str, Any], epochs: int | None
) -> list[tuple[str, Any, Any]]:
    """Settings whose plain values, from overrides or train.json, are not those of the earlier training."""
    started = status.get("settings", {})
    config = load_configs([bundle.config_path("train")])
    now: dict[str, Any] = {"plan": bundle.identity, COMPONENTS: _components(bundle, overrides)}
    for name in started:
        value = plain(overrides.get(name, config.get(name)))
        if name in config and not is_expression(value):
            now[name] = value
    if "datalist" not in overrides:
        now["cases"] = sha256_of(bundle.root / DATALIST_JSON)[:16]
    is_extended = epochs is not None and epochs != status["epochs"]
    changed = list(differences(started, now, extended=is_extended))
    if epochs is not None and epochs < status["epochs"]:
        changed.append(("epochs", status["epochs"], epochs))
    return changed


def _lost(fold: Fold) -> str:
    """The results that a new training would replace, in words; "" if there are none."""
    status = fold.status if fold.has_state else None
    parts = []
    if status is not None:
        parts.append(f"was trained to epoch {status['epoch']} of {status['epochs']}{_score(status)}")
    elif fold.has_state:
        parts.append("was trained")
    if fold.published is not None:
        parts.append(f"has weights in the bundle (models/{fold.published.name})")
    return " and ".join(parts)


def _score(status: Mapping[str, Any]) -> str:
    score = status.get("best_score")
    if score is None:
        return ""
    return f" (best {status.get('metric', 'score')} {score:.3f} at epoch {status['best_epoch']})"


def _number(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
