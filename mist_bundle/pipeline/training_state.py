"""Whether a fold may be trained as it is asked for, seen before anything is started."""

from __future__ import annotations

import enum
from collections.abc import Mapping
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

# what tells trainings apart and is given by no option of that name
_NO_OPTIONS = frozenset({"plan", "cases"})


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
        options = " ".join(f"--{name} {_word(was)}" for name, was, _ in found if _is_option(name, was))
        message = (
            f"was begun with other settings: {differences_text(found)}. Go on with those that it was begun with"
            f"{f' ({options})' if options else ''}, or pass --overwrite instead of --resume to lose it and start over."
        )
        return Resumed.STARTED, [Problem(place, message)]
    done = is_complete(status, epochs, _number(given.get("early_stopping")))
    return (Resumed.COMPLETE if done else Resumed.STARTED), []


def _components(bundle: Bundle, given: Mapping[str, Any]) -> dict[str, str]:
    """The values inside of the components of a training with these ids, as the training itself finds them."""
    from fire.parser import DefaultParseValue  # what MONAI reads its command line with
    from monai.bundle import ConfigParser

    from mist_bundle.runtime.components import component_values

    parser = ConfigParser()
    parser.read_config(str(bundle.config_path("train")))
    parser.update({name: DefaultParseValue(override_word(value)) for name, value in given.items()})
    parser.resolve_macro_and_relative_ids()
    return component_values(parser.config, str(bundle.root))


def _differences(
    bundle: Bundle, status: Mapping[str, Any], given: Mapping[str, Any], epochs: int | None
) -> list[tuple[str, Any, Any]]:
    """Settings that are given, or stand in train.json as plain values, and are not those of the training."""
    started = status.get("settings", {})
    config = load_configs([bundle.config_path("train")])
    now = {name: plain(given.get(name, config.get(name))) for name in started if name in config}
    now = {name: value for name, value in now.items() if not (isinstance(value, str) and value[:1] in ("$", "@", "%"))}
    now |= {"plan": bundle.identity, COMPONENTS: _components(bundle, given)}
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


def _is_option(name: str, was: Any) -> bool:
    """Whether `--name was` on a command line brings a setting back."""
    return name not in _NO_OPTIONS and was != ABSENT


def _word(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _number(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
