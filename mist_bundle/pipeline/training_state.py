"""Whether a fold may be trained as it is asked for, seen before anything is started."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from typing import Any

from mist_bundle.bundle.folder import Bundle, Fold
from mist_bundle.bundle.overrides import has_id, load_configs
from mist_bundle.errors import Problem
from mist_bundle.files import DATALIST_JSON
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.state import differences, differences_text, is_complete, plain

# what tells trainings apart and is given by no option of that name
_NO_OPTIONS = frozenset({"plan", "cases", "overrides"})
_OVERRIDES_ID = "checkpoints#overrides"


class Resumed(enum.Enum):
    """What a training that goes on finds."""

    NOTHING = "nothing"
    STARTED = "started"
    COMPLETE = "complete"


def check_fold(
    bundle: Bundle, number: int, given: Mapping[str, Any], *, resume: bool, overwrite: bool
) -> tuple[Resumed, list[Problem]]:
    """What a training of a fold finds, and what speaks against it.

    Args:
        bundle: its folder.
        number: the fold.
        given: ids of train.json that are overridden.
        resume: whether the training is to go on.
        overwrite: whether it may replace what is there.
    """
    fold, place = bundle.fold(number), f"fold {number}"
    if fold.is_being_trained():
        message = "is being trained by another process. Wait for it to end, or train another fold."
        return Resumed.STARTED, [Problem(place, message)]
    if not resume:
        lost = _lost(fold)
        if lost and not overwrite:
            message = f"{lost}. Pass --resume to go on with it, or --overwrite to lose that and start over."
            return Resumed.STARTED, [Problem(place, message)]
        return Resumed.NOTHING, []
    status = fold.status
    if status is None or not fold.has_state:
        if fold.published is not None and not overwrite:
            message = f"has weights ({fold.published.name}), but no state in {fold.folder} to go on from."
            return Resumed.NOTHING, [Problem(place, f"{message} Pass --overwrite to train it anew.")]
        return Resumed.NOTHING, []
    epochs = _number(given.get("epochs", load_configs([bundle.config_path("train")]).get("epochs")))
    found = _differences(bundle, status, given, epochs)
    if found:
        options = " ".join(f"--{name} {_word(was)}" for name, was, _ in found if name not in _NO_OPTIONS)
        message = (
            f"was begun with other settings: {differences_text(found)}. Go on with those that it was begun with"
            f"{f' ({options})' if options else ''}, or pass --overwrite instead of --resume to lose it and start over."
        )
        return Resumed.STARTED, [Problem(place, message)]
    done = is_complete(status, epochs, _number(given.get("early_stopping")))
    return (Resumed.COMPLETE if done else Resumed.STARTED), []


def settings_overrides(bundle: Bundle, given: Mapping[str, Any]) -> dict[str, Any]:
    """What tells the training of overrides deep inside train.json, which it does not see by itself."""
    config = load_configs([bundle.config_path("train")])
    deep = _deep_overrides(config, given)
    return {_OVERRIDES_ID: deep} if deep and has_id(config, _OVERRIDES_ID) else {}


def _deep_overrides(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Overrides of what is no setting of its own, such as `loss#smooth_nr`, with what tells their values apart."""
    deep = {key: value for key, value in given.items() if key not in config and key != "resume"}
    return {key.replace("#", ".").replace("::", "."): _fingerprint(value) for key, value in deep.items()}


def _differences(
    bundle: Bundle, status: Mapping[str, Any], given: Mapping[str, Any], epochs: int | None
) -> list[tuple[str, Any, Any]]:
    """Settings that are given, or stand in train.json as plain values, and are not those of the training."""
    started = status.get("settings", {})
    config = load_configs([bundle.config_path("train")])
    now = {name: plain(given.get(name, config.get(name))) for name in started if name in config}
    now = {name: value for name, value in now.items() if not (isinstance(value, str) and value[:1] in ("$", "@", "%"))}
    now |= {"plan": bundle.identity, "overrides": _deep_overrides(config, given)}
    if "datalist" not in given:
        now["cases"] = sha256_of(bundle.root / DATALIST_JSON)[:16]
    extended = epochs is not None and epochs != status["epochs"]
    found = list(differences(started, now, extended=extended))
    if epochs is not None and epochs < status["epochs"]:
        found.append(("epochs", status["epochs"], epochs))
    return found


def _lost(fold: Fold) -> str:
    """What a new training would replace, in words; "" where there is nothing."""
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
    return (
        "" if score is None else f" (best {status.get('metric', 'score')} {score:.3f} at epoch {status['best_epoch']})"
    )


def _word(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _number(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


def _fingerprint(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]
