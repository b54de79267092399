"""A post-processing strategy: a list of steps as data, checked as a whole and applied in order.

    [{"transform": "keep_top_k_components", "apply_to_labels": [1, 2], "per_label": true, "kwargs": {"k": 1}}]

`apply_to_labels` is a list of labels, or "all" (MIST's [-1] means the same). With `per_label` each label is treated for
itself, otherwise their union as a whole. The file may hold the list alone or {"strategy": [...]}.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import components, morphology

ALL = "all"
_KEYS = ("transform", "apply_to_labels", "per_label", "kwargs")
_KEEP_TOP_K = "keep_top_k_components"


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """An operation: its function, and what each of its options must be."""

    function: Callable[..., NDArray[Any]]
    options: Mapping[str, str]
    required: tuple[str, ...] = ()


_SIZE, _COUNT, _LABEL, _UNIT, _NEIGHBOURS = "size", "count", "label", "unit", "neighbours"
_OBJECTS = {"min_size": _SIZE, "unit": _UNIT, "connectivity": _NEIGHBOURS}

OPERATIONS: Mapping[str, Operation] = {
    "remove_small_objects": Operation(function=components.remove_small_objects, options=_OBJECTS),
    _KEEP_TOP_K: Operation(
        function=components.keep_top_k_components,
        options={"k": _COUNT, "detach": "whole", "connectivity": _NEIGHBOURS},
    ),
    "replace_small_objects_with_label": Operation(
        function=components.replace_small_objects_with_label,
        options={"replacement": _LABEL, **_OBJECTS},
        required=("replacement",),
    ),
    "morphological_opening": Operation(function=morphology.morphological_opening, options={"iterations": _COUNT}),
    "morphological_closing": Operation(function=morphology.morphological_closing, options={"iterations": _COUNT}),
    "fill_holes_with_label": Operation(
        function=morphology.fill_holes_with_label, options={"fill_label": _LABEL, "max_size": _SIZE, "unit": _UNIT}
    ),
}
# what mist-medical 2.3.0 calls them
_ALIASES = {"get_top_k_connected_components": _KEEP_TOP_K}
_OPTION_ALIASES = {
    "small_object_threshold": "min_size",
    "top_k_connected_components": "k",
    "top_k": "k",
    "replacement_label": "replacement",
    "fill_holes_label": "fill_label",
}
# MIST writes `detach` as a switch and a number of iterations, which has a default of its own
_CLEANING, _CLEANING_ITERATIONS = "apply_morphological_cleaning", "morphological_cleaning_iterations"
_MIST_CLEANING_ITERATIONS = 2

_EXPECTED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    _SIZE: (lambda value: _is_number(value) and value >= 0, "a number of at least 0"),
    _COUNT: (lambda value: _is_whole(value) and value >= 1, "a whole number of at least 1"),
    "whole": (lambda value: _is_whole(value) and value >= 0, "a whole number of at least 0"),
    _LABEL: (lambda value: _is_whole(value) and value >= 0, "a label"),
    _UNIT: (lambda value: value in (components.VOXELS, components.MM3), '"voxels" or "mm3"'),
    _NEIGHBOURS: (lambda value: value in (6, 18, 26), "6, 18 or 26"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A step of a strategy.

    Attributes:
        transform: name of the operation.
        labels: what it works on; empty for all labels but the background.
        per_label: each label for itself, instead of their union.
        options: of the operation.
    """

    transform: str
    labels: tuple[int, ...] = ()
    per_label: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a strategy file."""
        return {
            "transform": self.transform,
            "apply_to_labels": list(self.labels) or ALL,
            "per_label": self.per_label,
            "kwargs": dict(self.options),
        }


def read_strategy(path: str | Path) -> tuple[Step, ...]:
    """The steps of a strategy file.

    Raises:
        ValueError: it is not a strategy; the message names everything that is wrong.
        OSError: it cannot be read.
    """
    return parse_strategy(json.loads(Path(path).read_text(encoding="utf-8")))


def parse_strategy(content: Any) -> tuple[Step, ...]:
    """The steps that parsed JSON describes.

    Raises:
        ValueError: it describes none; the message names everything that is wrong.
    """
    entries = content.get("strategy") if isinstance(content, Mapping) else content
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ValueError('A strategy is a list of steps like [{"transform": …, "apply_to_labels": [1]}].')
    findings = []
    for number, entry in enumerate(entries, start=1):
        findings += [f"Step {number}: {text}" for text in _findings(entry)]
    if findings:
        raise ValueError(" ".join(findings))
    return tuple(map(_step, entries))


def apply_strategy(label: NDArray[Any], spacing_mm: Sequence[float], steps: Sequence[Step]) -> NDArray[Any]:
    """Post-process a label map.

    Args:
        label: (X, Y, Z) whole numbers; it is not changed.
        spacing_mm: size of a voxel along each axis.
        steps: applied in order.

    Returns:
        (X, Y, Z); the same array where no step changed anything.
    """
    for step in steps:
        operation = OPERATIONS[step.transform].function
        present: list[int] = np.unique(label[label != 0]).tolist()
        labels = [value for value in step.labels or present if value in present]
        groups = [[value] for value in labels] if step.per_label else [labels]
        for group in groups:
            label = operation(label, group, spacing_mm, **step.options)
    return label


def _step(entry: Mapping[str, Any]) -> Step:
    labels = entry.get("apply_to_labels", ALL)
    return Step(
        transform=_operation_name(entry),
        labels=() if labels in (ALL, [-1]) else tuple(labels),
        per_label=entry.get("per_label", True),
        options=_options(entry),
    )


def _options(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The options by our names; MIST's morphological cleaning becomes `detach`."""
    options = {}
    for name, value in (entry.get("kwargs") or {}).items():
        options[_OPTION_ALIASES.get(name, name)] = value
    if _operation_name(entry) == _KEEP_TOP_K and (_CLEANING in options or _CLEANING_ITERATIONS in options):
        cleaned = options.pop(_CLEANING, False)
        iterations = options.pop(_CLEANING_ITERATIONS, _MIST_CLEANING_ITERATIONS)
        options["detach"] = iterations if cleaned else 0
    return options


def _operation_name(entry: Mapping[str, Any]) -> str:
    name = str(entry.get("transform"))
    return _ALIASES.get(name, name)


def _findings(entry: Any) -> list[str]:
    if not isinstance(entry, Mapping):
        return [f'{entry!r} is not a step; expected an object with "transform".']
    findings = [f"{key!r} is not a key of a step; known: {', '.join(_KEYS)}." for key in entry if key not in _KEYS]
    name = _operation_name(entry)
    if name not in OPERATIONS:
        return [*findings, f'"transform" is {name!r}; known: {", ".join(OPERATIONS)}.']
    labels = entry.get("apply_to_labels", ALL)
    if labels not in (ALL, [-1]) and not _are_labels(labels):
        findings.append(f'"apply_to_labels" is {labels!r}; expected labels above 0, or "all".')
    if not isinstance(entry.get("per_label", True), bool):
        findings.append(f'"per_label" is {entry["per_label"]!r}; expected true or false.')
    if not isinstance(entry.get("kwargs") or {}, Mapping):
        return [*findings, f'"kwargs" is {entry["kwargs"]!r}; expected an object.']
    return findings + _cleaning_findings(entry.get("kwargs") or {}) + _option_findings(name, _options(entry))


def _cleaning_findings(options: Mapping[str, Any]) -> list[str]:
    """What is wrong with MIST's morphological cleaning."""
    findings = []
    if not isinstance(options.get(_CLEANING, False), bool):
        findings.append(f"{_CLEANING} is {options[_CLEANING]!r}; expected true or false.")
    if "detach" in options and (_CLEANING in options or _CLEANING_ITERATIONS in options):
        findings.append(f"detach and {_CLEANING} say the same; leave either out.")
    return findings


def _option_findings(name: str, options: Mapping[str, Any]) -> list[str]:
    known = OPERATIONS[name].options
    findings = [f"{name} needs {option!r}." for option in OPERATIONS[name].required if option not in options]
    for option, value in options.items():
        if option not in known:
            findings.append(f"{name} has no option {option!r}; known: {', '.join(known)}.")
        elif not (value is None and option in ("fill_label", "max_size")):
            fits, expected = _EXPECTED[known[option]]
            if not fits(value):
                findings.append(f"{option} is {value!r}; expected {expected}.")
    return findings


def _are_labels(value: Any) -> bool:
    """Whether a value is a list of labels above 0."""
    if not isinstance(value, list) or not value:
        return False
    return all(_is_whole(label) and label > 0 for label in value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
