"""The arguments of a function of the API, as its signature, annotations and docstring declare them.

The command line takes its options and their explanations from here, so each argument is declared once. A function that
ends in `**options` says with `takes` what these may be.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from mist_bundle.api.warn import warn_before_failure
from mist_bundle.errors import InputError, MistBundleError, Problem
from mist_bundle.planning.options import Option
from mist_bundle.runtime.values import Kind, Number, Switch, Text, Whole
from mist_bundle.runtime.wording import did_you_mean

Function = Callable[..., Any]
AnyFunction = TypeVar("AnyFunction", bound=Function)
_KINDS: dict[Any, Kind] = {bool: Switch(), int: Whole(), float: Number(), str: Text()}
_TAKEN = "_taken_options"
_START_OF_ARGUMENT = re.compile(r" {4}\*{0,2}(\w+): (.*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """An argument of a function.

    Attributes:
        name: as it is typed, without the dashes.
        kind: the values that it takes.
        default: `inspect.Parameter.empty` for an argument that is required.
        about: what --help says.
        passing: of `inspect.Parameter`: VAR_POSITIONAL takes all remaining words, VAR_KEYWORD all other options.
    """

    name: str
    kind: Kind
    default: Any = inspect.Parameter.empty
    about: str = ""
    passing: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD

    @property
    def takes_more(self) -> bool:
        """Whether it stands for any number of words or options."""
        return self.passing in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

    @property
    def required(self) -> bool:
        """Whether a call without it is refused."""
        return self.default is inspect.Parameter.empty and self.passing is not inspect.Parameter.VAR_KEYWORD


@dataclass(frozen=True, kw_only=True, slots=True)
class _Taken:
    sources: tuple[Option | Function, ...]
    besides: frozenset[str]
    any_other: bool
    about: Mapping[str, str]


def takes(
    *sources: Function | Mapping[str, Option],
    besides: Iterable[str] = (),
    any_other: bool = False,
    about: Mapping[str, str] | None = None,
) -> Callable[[AnyFunction], AnyFunction]:
    """Declare what the `**options` of a function may be.

    Args:
        *sources: tables of options, or functions whose arguments they are.
        besides: names that are left out.
        any_other: further names are taken too: ids of a bundle's configuration.
        about: explanations of options that mean something else here; they have no default then.
    """
    listed: list[Option | Function] = []
    for source in sources:
        if isinstance(source, Mapping):
            listed += [option for option in source.values() if option.public]
        else:
            listed.append(source)
    taken = _Taken(sources=tuple(listed), besides=frozenset(besides), any_other=any_other, about=about or {})

    def mark(function: AnyFunction) -> AnyFunction:
        setattr(function, _TAKEN, taken)
        return function

    return mark


def arguments_of(function: Function) -> list[Argument]:
    """All arguments of a function: those of its signature, then those that its `**options` stand for.

    Arguments without a kind, such as functions to be called back, belong to Python alone and are left out.
    """
    hints = _parameter_hints(function)
    _, explained = docstring_parts(function)
    taken: _Taken | None = getattr(function, _TAKEN, None)
    arguments: dict[str, Argument] = {}
    for parameter in inspect.signature(function).parameters.values():
        is_rest = parameter.kind is parameter.VAR_KEYWORD
        kind = Text() if is_rest else _kind_of(hints.get(parameter.name))
        if is_rest and taken is not None:
            _add_taken(taken, arguments)
        if kind is None or (is_rest and taken is not None and not taken.any_other):
            continue
        arguments[parameter.name] = Argument(
            name=parameter.name,
            kind=kind,
            default=parameter.default,
            about=explained.get(parameter.name, ""),
            # a word without a name is never meant for a switch
            passing=parameter.KEYWORD_ONLY if isinstance(kind, Switch) else parameter.kind,
        )
    return sorted(arguments.values(), key=_is_any_option)


def _is_any_option(argument: Argument) -> bool:
    return argument.passing is inspect.Parameter.VAR_KEYWORD


def _add_taken(taken: _Taken, arguments: dict[str, Argument]) -> None:
    for source in taken.sources:
        further = [_option_argument(source)] if isinstance(source, Option) else arguments_of(source)
        for argument in further:
            if argument.name in arguments or argument.name in taken.besides:
                continue
            if argument.name in taken.about:
                argument = replace(argument, about=taken.about[argument.name], default=None)
            arguments[argument.name] = argument


def _option_argument(option: Option) -> Argument:
    return Argument(
        name=option.name,
        kind=option.kind,
        default=option.default,
        about=option.about,
        passing=inspect.Parameter.KEYWORD_ONLY,
    )


def checked(function: AnyFunction) -> AnyFunction:
    """A function whose arguments are checked against their declarations before it begins.

    It receives values in the form in which this package keeps them: a single size for three axes, lists as tuples, no
    declared option that is None.

    Raises:
        InputError: naming every value that its kind does not hold, and every option that the function does not take.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = inspect.signature(function).bind(*args, **kwargs)
        problems: list[Problem] = []
        arguments = {argument.name: argument for argument in arguments_of(function)}
        for name, value in bound.arguments.items():
            parameter = bound.signature.parameters[name]
            if parameter.kind is parameter.VAR_KEYWORD:
                bound.arguments[name] = _checked_options(value, arguments, problems)
            elif name in arguments and parameter.kind is not parameter.VAR_POSITIONAL:
                bound.arguments[name] = _checked_value(arguments[name], value, problems)
        if problems:
            raise InputError(problems)
        try:
            return function(*bound.args, **bound.kwargs)
        except MistBundleError as error:
            warn_before_failure(error)
            raise

    return cast("AnyFunction", call)


def _checked_options(
    options: Mapping[str, Any], arguments: Mapping[str, Argument], problems: list[Problem]
) -> dict[str, Any]:
    takes_any_other = any(map(_is_any_option, arguments.values()))
    cleaned = {}
    for name, value in options.items():
        if name in arguments:
            if value is not None:
                cleaned[name] = _checked_value(arguments[name], value, problems)
        elif takes_any_other:
            cleaned[name] = value
        else:
            problems.append(Problem(f"--{name}", f"is not an option. {did_you_mean(name, arguments)}"))
    return cleaned


def _checked_value(argument: Argument, value: Any, problems: list[Problem]) -> Any:
    if value is None and not argument.required:
        return None
    cleaned = argument.kind.clean(os.fspath(value) if isinstance(value, os.PathLike) else value)
    sentence = argument.kind.problem(cleaned)
    if sentence is not None:
        problems.append(Problem(f"--{argument.name}", sentence))
    return cleaned


def docstring_parts(function: Function) -> tuple[str, dict[str, str]]:
    """The part of a docstring before its first section, and the explanation of each argument."""
    text = inspect.getdoc(function) or ""
    about = re.split(r"\n(?:Args|Returns|Raises):\n", text)[0]
    explained: dict[str, str] = {}
    name = ""
    for line in text.partition("\nArgs:\n")[2].splitlines():
        start = _START_OF_ARGUMENT.match(line)
        if start:
            name = start[1]
            explained[name] = start[2]
        elif name and line.startswith(" " * 8):
            explained[name] += f" {line.strip()}"
        else:
            break
    return about.strip(), explained


def _parameter_hints(function: Function) -> dict[str, Any]:
    """The annotations of the parameters; that of the result may name what only type checkers import."""
    function = inspect.unwrap(function)
    annotations = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
    bare = types.FunctionType(function.__code__, function.__globals__)
    bare.__annotations__ = annotations
    return typing.get_type_hints(bare, include_extras=True)


def _kind_of(hint: Any) -> Kind | None:
    """The kind that an annotation names: Annotated[..., Kind], bool, int, float or str, each also `| None`."""
    for part in (hint, *typing.get_args(hint)):
        for candidate in (part, *getattr(part, "__metadata__", ())):
            if isinstance(candidate, Kind):
                return candidate
            if isinstance(candidate, type) and candidate in _KINDS:
                return _KINDS[candidate]
    return None
