"""The labels of an nnU-Net dataset.json: single values, regions of several, and the ignored value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.files import as_json
from mist_bundle.runtime.wording import list_names

IGNORE = "ignore"
_BACKGROUND = "background"


@dataclass(frozen=True, kw_only=True, slots=True)
class NnunetLabels:
    """Meaning of the labels of an nnU-Net dataset.

    Attributes:
        values: all label values, the background first, without the ignored value.
        names: value -> name; a value that only occurs in regions is named after its number.
        final_classes: class to be scored -> values.
        ignore: value of unlabelled voxels, or None.
    """

    values: tuple[int, ...]
    names: dict[int, str]
    final_classes: dict[str, tuple[int, ...]]
    ignore: int | None = None


def read_labels(json_path: Path, entries: Mapping[str, Any]) -> NnunetLabels:
    """Meaning of the "labels" of a dataset.json, where a list of values is a region.

    Raises:
        InputError: a value is not a label, or there is no class beside the background.
    """
    members = _label_values(f"{json_path}: $.labels", entries)
    ignored = members.pop(IGNORE, None)
    members.pop(_BACKGROUND, None)
    if not members:
        message = "names no class besides the background; there is nothing to learn."
        raise InputError(Problem(f"{json_path}: $.labels", message))
    names = {0: _BACKGROUND}
    for name, values in members.items():
        if len(values) == 1:
            names[values[0]] = name
    for values in members.values():
        for value in values:
            names.setdefault(value, f"label_{value}")
    return NnunetLabels(
        values=tuple(sorted(names)),
        names=dict(sorted(names.items())),
        final_classes=members,
        ignore=ignored[0] if ignored else None,
    )


def _label_values(place: str, entries: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Class name -> sorted label values.

    Raises:
        InputError: a value is not a label, or the background or ignored label has other values than allowed.
    """
    problems: list[Problem] = []
    members: dict[str, tuple[int, ...]] = {}
    for name, entry in entries.items():
        values = entry if isinstance(entry, list) else [entry]
        if not values or not all(_is_label(value) for value in values):
            message = f"has {name!r}: {as_json(entry)}; expected a whole number, or a list of them for a region."
            problems.append(Problem(place, message))
        else:
            members[name] = tuple(sorted(set(values)))
    if members.get(_BACKGROUND, (0,)) != (0,):
        problems.append(Problem(place, f"has the background at {list(members[_BACKGROUND])}; expected 0."))
    if len(members.get(IGNORE, (0,))) > 1:
        problems.append(Problem(place, f"has {list(members[IGNORE])} for {IGNORE!r}; expected a single value."))
    if problems:
        raise InputError(problems)
    return members


def check_distinct(place: str, labels: NnunetLabels) -> None:
    """Refuse names that a new training could not tell apart, which models that nnU-Net has trained may have.

    Raises:
        InputError: several classes have the same values, or a class holds the background.
    """
    classes = dict(labels.final_classes)
    if labels.ignore is not None:
        classes[IGNORE] = (labels.ignore,)
    problems: list[Problem] = []
    names_of: dict[tuple[int, ...], list[str]] = {}
    for name, values in classes.items():
        if 0 in values:
            problems.append(Problem(place, f"gives 0 to {name!r}; 0 is the background."))
        names_of.setdefault(values, []).append(name)
    for values, names in names_of.items():
        if len(names) > 1:
            value = values[0] if len(values) == 1 else list(values)
            message = f"gives {value} to {list_names(names)}, of which only one would be left. Tell them apart."
            problems.append(Problem(place, message))
    if problems:
        raise InputError(problems)


def _is_label(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
