"""Reading a plan from plan.json: every value is checked against the type of its field in `Plan`."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.decision import Decision

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


class _Misfit(Exception):
    """A value is not of the type of its field; the message says which type was expected."""


def read_fields(plan_class: type, content: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the arguments of `plan_class` that `content` holds; the inverse of `Plan.to_json`.

    Args:
        plan_class: a dataclass whose annotations say what each field holds.
        content: facts by name, and decisions as {"value", "because"} under "decisions", with no other entries.
        place: the file, for messages.

    Raises:
        InputError: fields are missing, unknown or of another type; names all of them.
    """
    decisions = content.get("decisions")
    if not isinstance(decisions, Mapping):
        raise InputError(Problem(f"{place}, decisions", f"is {_shown(decisions)}; expected an object."))
    hints = typing.get_type_hints(plan_class)
    written = {**content, **decisions}
    del written["decisions"]
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for name, value in written.items():
        key = f"decisions#{name}" if name in decisions else name
        if name not in hints:
            message = "is not known here; a newer version of mist-bundle may have written it."
            problems.append(Problem(f"{place}, {key}", message))
            continue
        try:
            values[name] = _read(value, hints[name])
        except _Misfit as misfit:
            problems.append(Problem(f"{place}, {key}", f"is {_shown(value)}; expected {misfit}."))
    for field in dataclasses.fields(plan_class):
        if field.name not in written and field.default is dataclasses.MISSING:
            problems.append(Problem(f"{place}, {field.name}", "is missing."))
    if problems:
        raise InputError(problems)
    return values


def _read(value: Any, hint: Any) -> Any:
    """Convert a JSON value to the annotated type `hint`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (inner,) = set(arguments) - {type(None)}
        return _read(value, inner)
    if origin is Decision:
        if not isinstance(value, Mapping) or set(value) != {"value", "because"}:
            raise _Misfit('an object of "value" and "because"')
        return Decision(_read(value["value"], arguments[0]), _read(value["because"], str))
    if origin is tuple:
        return tuple(_items(value, arguments))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _Misfit("an object")
        return {key: _read(entry, arguments[1]) for key, entry in value.items()}
    accepted = (int, float) if hint is float else (hint,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise _Misfit(_WORDS[hint])
    return value


def _items(value: Any, arguments: tuple[Any, ...]) -> Iterator[Any]:
    if not isinstance(value, list):
        raise _Misfit("a list")
    if arguments[-1] is Ellipsis:
        for item in value:
            yield _read(item, arguments[0])
        return
    if len(value) != len(arguments):
        raise _Misfit(f"a list of {len(arguments)}")
    for item, hint in zip(value, arguments, strict=True):
        yield _read(item, hint)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
