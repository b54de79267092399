"""The options of the verbs that plan (autoconfig, finetune), read into PlanOptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mist_bundle.cli.words import axes, mapping, optional_text, sequence
from mist_bundle.errors import InputError, Problem

if TYPE_CHECKING:
    from mist_bundle.planning.options import PlanOptions


def check_format(name: str) -> None:
    """Refuse a format that configurations are not written in."""
    from mist_bundle.bundle.generate import FORMATS

    if name not in FORMATS:
        raise InputError(Problem("--format", f"is {name!r}; expected {' or '.join(FORMATS)}."))


def plan_options(given: Mapping[str, Any]) -> PlanOptions:
    """What a verb's options ask of the planner.

    Args:
        given: the verb's arguments by name, as Fire read them; those that are not the planner's are passed over, and
            None leaves an option at its default.

    Raises:
        InputError: naming the option that cannot be read.
    """
    from mist_bundle.planning.options import PlanOptions

    asked = {field.name: given[field.name] for field in fields(PlanOptions) if given.get(field.name) is not None}
    return PlanOptions(**{name: _READERS.get(name, _as_it_is)(name, value) for name, value in asked.items()})


def _as_it_is(name: str, value: Any) -> Any:
    return value


def _voxels(name: str, value: Any) -> Any:
    return axes(name, value, int)


def _millimetres(name: str, value: Any) -> Any:
    return axes(name, value, float)


def _whole_numbers(name: str, value: Any) -> tuple[int, ...]:
    return tuple(sequence(name, value, int))


def _class_weights(name: str, value: Any) -> Any:
    # a word is a name (or a mistake, which the planner reports); numbers come as a number, a tuple or "1,2"
    if isinstance(value, str) and "," not in value:
        return value
    return tuple(sequence(name, value, float))


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "network": lambda name, value: optional_text(value),
    "network_arguments": mapping,
    "patch_size": _voxels,
    "max_patch_size": _voxels,
    "target_spacing": _millimetres,
    "class_weights": _class_weights,
    "region_labels": _whole_numbers,
    "flip_axes": _whole_numbers,
}
