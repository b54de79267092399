"""The options of the verbs that plan (autoconfig, finetune), read into PlanOptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mist_bundle.cli.words import axes, mapping, sequence
from mist_bundle.errors import Collecting, InputError, Problem

if TYPE_CHECKING:
    from mist_bundle.planning.options import PlanOptions


def plan_options(given: Mapping[str, Any]) -> PlanOptions:
    """What a verb's options ask of the planner.

    Args:
        given: the verb's arguments by name, as Fire read them; those that are not the planner's are passed over, and
            None leaves an option at its default. Its `format` is looked at too.

    Raises:
        InputError: naming each option that cannot be read.
    """
    from mist_bundle.bundle.generate import FORMATS
    from mist_bundle.planning.options import PlanOptions

    problems: list[Problem] = []
    if given["format"] not in FORMATS:
        problems.append(Problem("--format", f"is {given['format']!r}; expected {' or '.join(FORMATS)}."))
    asked: dict[str, Any] = {}
    for field in fields(PlanOptions):
        if given.get(field.name) is not None:
            with Collecting(problems):
                asked[field.name] = _READERS.get(field.name, _as_it_is)(field.name, given[field.name])
    if problems:
        raise InputError(problems)
    return PlanOptions(**asked)


def _as_it_is(name: str, value: Any) -> Any:
    return value


def _voxels(name: str, value: Any) -> Any:
    return axes(name, value, int)


def _millimetres(name: str, value: Any) -> Any:
    return axes(name, value, float)


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    return tuple(sequence(name, value, float))


def _whole_numbers(name: str, value: Any) -> tuple[int, ...]:
    return tuple(sequence(name, value, int))


def _class_weights(name: str, value: Any) -> Any:
    # a word is a name (or a mistake, which the planner reports); numbers come as a number, a tuple or "1,2"
    if isinstance(value, str) and "," not in value:
        return value
    return _numbers(name, value)


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "network_arguments": mapping,
    "loss_arguments": mapping,
    "deep_supervision_weights": _numbers,
    "patch_divisor": _voxels,
    "patch_size": _voxels,
    "max_patch_size": _voxels,
    "target_spacing": _millimetres,
    "class_weights": _class_weights,
    "region_labels": _whole_numbers,
    "flip_axes": _whole_numbers,
}
