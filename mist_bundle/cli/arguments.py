"""How the words of a command line become the arguments of a verb.

Fire guesses the meaning of a word: `false` becomes a text that counts as true, `001` the number 1. Here Fire only deals
the words out to the verb's arguments; each is then read as the kind that its declaration names (api/arguments.py), and
everything that is wrong is reported at once, before the verb begins.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.api.arguments import Argument, arguments_of
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.settings import SETTINGS, is_expression
from mist_bundle.runtime.values import FALSE_WORDS, TRUE_WORDS, Kind, PathText, Switch, read_json_text, read_value
from mist_bundle.runtime.wording import did_you_mean

Verb = Callable[..., None]
_DEFAULT = ("None", "null")  # the value of an option that stands for its default


class _Typed(str):
    """A word of the command line, as opposed to the default of an argument."""

    __slots__ = ()


def call(verb: Verb, words: Sequence[str]) -> None:
    """Call a verb with the words of a command line; arguments that they do not name keep their defaults.

    Raises:
        InputError: naming everything that is wrong with them; the verb was not called.
    """
    import fire

    arguments = arguments_of(verb)
    options, positional, problems = sort_words(arguments, words)
    if problems:  # Fire would stop at the first of them
        _read_options(arguments, options, problems)
        raise InputError(problems)

    signature = _signature(arguments)

    def read(*dealt: Any, **named: Any) -> None:
        bound = signature.bind(*dealt, **named).arguments
        typed: dict[str, str] = {}
        files: tuple[str, ...] = ()
        for argument in arguments:
            value = bound.get(argument.name)
            if argument.passing is inspect.Parameter.VAR_POSITIONAL:
                files = tuple(map(str, value or ()))
            elif argument.passing is inspect.Parameter.VAR_KEYWORD:
                typed |= value or {}
            elif isinstance(value, _Typed):
                typed[argument.name] = value
        values = _read_options(arguments, typed, problems)
        if problems:
            raise InputError(problems)
        verb(*files, **values)

    read.__signature__ = signature  # type: ignore[attr-defined]  # Fire deals the words out by it
    dealt = [*map("--{}={}".format, options, options.values()), *positional]
    fire.Fire(fire.decorators.SetParseFn(_Typed)(read), command=dealt, name=f"mist-bundle {verb.__name__}")


def _signature(arguments: Sequence[Argument]) -> inspect.Signature:
    parameters = []
    for argument in arguments:
        parameters.append(inspect.Parameter(argument.name, argument.passing, default=argument.default))
    # parameters behind keyword-only options are keyword-only, too
    return inspect.Signature(sorted(parameters, key=_place))


def _place(parameter: inspect.Parameter) -> int:
    return int(parameter.kind)


def _read_options(arguments: Sequence[Argument], typed: Mapping[str, str], problems: list[Problem]) -> dict[str, Any]:
    """The values of options as they were typed; further problems are added to the list."""
    by_name = _by_name(arguments)
    values: dict[str, Any] = {}
    for name, text in typed.items():
        argument = by_name.get(name)
        if argument is None:
            values[name] = read_override(name, str(text), problems)
        elif argument.required or text not in _DEFAULT:
            values[name], sentence = read_value(argument.kind, str(text))
            if sentence is not None:
                problems.append(Problem(f"--{name}", sentence))
    return values


def _by_name(arguments: Sequence[Argument]) -> dict[str, Argument]:
    """The arguments with a name of their own."""
    return {argument.name: argument for argument in arguments if not argument.takes_more}


def read_override(name: str, text: str, problems: list[Problem]) -> Any:
    """The value of an id of a bundle's configuration; paths become absolute, MONAI's expressions stay as they are."""
    kind = SETTINGS.get(name)
    if is_expression(text) or text in _DEFAULT:
        return text
    if kind is None:
        try:
            return read_json_text(text)
        except ValueError:
            return text
    value, sentence = read_value(kind, text)
    if sentence is not None:
        problems.append(Problem(f"--{name}", sentence))
    return str(Path(value).absolute()) if isinstance(kind, PathText) and value else value


def sort_words(arguments: Sequence[Argument], words: Sequence[str]) -> tuple[dict[str, str], list[str], list[Problem]]:
    """Tell options from other words, so that no option takes a word that is meant for another.

    Returns:
        The options with their values as they were typed; the other words; a Problem for each option that is unknown,
        repeated or without a value, and for words that are too many or missing.
    """
    takes_any_option = _takes(arguments, inspect.Parameter.VAR_KEYWORD)
    known = _by_name(arguments)
    awaited = _required_words(arguments, words)
    problems: list[Problem] = []
    options: dict[str, str] = {}
    positional: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not _is_option(word):
            positional.append(word)
            continue
        name, value = _option_and_value(word, rest, known, is_awaited=len(positional) < awaited)
        if not word.startswith("--"):
            problems.append(Problem(word, "is not an option; options begin with two dashes."))
        elif name not in known and not takes_any_option:
            problems.append(Problem(f"--{name}", f"is not an option. {did_you_mean(name, known)}"))
        elif value is None:
            kind = _kind_of_option(name, known)
            expected = "a value" if kind is None else kind.expected
            problems.append(Problem(f"--{name}", f"has no value; expected {expected}."))
        elif name in options:
            problems.append(
                Problem(f"--{name}", f"is passed twice: {options[name]} and {value}. Keep only one of them.")
            )
        else:
            options[name] = value
    problems += _count_problems(arguments, positional, options, words)
    return options, positional, problems


def _takes(arguments: Sequence[Argument], passing: Any) -> bool:
    return passing in [argument.passing for argument in arguments]


def _option_and_value(
    word: str, rest: list[str], known: dict[str, Argument], *, is_awaited: bool
) -> tuple[str, str | None]:
    """The option that a word names and its value, which may be taken from the words behind it; None for no value."""
    typed, equals, value = word.lstrip("-").partition("=")
    name, negated = _without_no(typed.replace("-", "_"), known)
    kind = _kind_of_option(name, known)
    if negated:
        return name, "false"
    if equals:
        return name, value
    if rest and _is_value(kind, rest[0], is_awaited=is_awaited):
        return name, rest.pop(0)
    return name, "true" if isinstance(kind, Switch) else None


def _kind_of_option(name: str, known: dict[str, Argument]) -> Kind | None:
    return known[name].kind if name in known else SETTINGS.get(name)


def _is_option(word: str) -> bool:
    return word.startswith("--") or re.match(r"-[A-Za-z]", word) is not None


def _required_words(arguments: Sequence[Argument], words: Sequence[str]) -> int:
    """The number of required arguments that the words do not name."""
    named = _named(words)
    count = 0
    for argument in arguments:
        if argument.required and argument.name not in named:
            count += 1
    return count


def _named(words: Sequence[str]) -> set[str]:
    """Names of the options among the words."""
    names = set()
    for word in words:
        if _is_option(word):
            names.add(word.lstrip("-").partition("=")[0].replace("-", "_"))
    return names


def _is_value(kind: Kind | None, word: str, *, is_awaited: bool) -> bool:
    """Whether the word behind an option is its value.

    Args:
        kind: of the option.
        word: the word behind it.
        is_awaited: a required argument without a name has not come yet; then the word behind a switch is that.
    """
    if _is_option(word):
        return False
    return not isinstance(kind, Switch) or word.lower() in TRUE_WORDS | FALSE_WORDS or not is_awaited


def _without_no(typed: str, known: dict[str, Argument]) -> tuple[str, bool]:
    """The option that is meant, and whether it was typed with `no` in front."""
    negated = typed not in known and typed.startswith("no") and isinstance(_kind_of_option(typed[2:], known), Switch)
    return (typed[2:], True) if negated else (typed, False)


def _count_problems(
    arguments: Sequence[Argument], positional: Sequence[str], options: Mapping[str, str], words: Sequence[str]
) -> Iterator[Problem]:
    """Required arguments that are missing, and words that are too many."""
    unnamed = []
    for argument in arguments:
        if argument.passing is inspect.Parameter.POSITIONAL_OR_KEYWORD and argument.name not in options:
            unnamed.append(argument.name)
    takes_any_word = _takes(arguments, inspect.Parameter.VAR_POSITIONAL)
    if len(positional) > len(unnamed) and not takes_any_word:
        extra = " ".join(positional[len(unnamed) :])
        yield Problem("arguments", f"{extra!r} is left over; at most {len(unnamed)} can be passed without a name.")
    present = {*unnamed[: len(positional)], *_named(words)}
    for argument in arguments:
        if argument.passing is inspect.Parameter.VAR_POSITIONAL and positional:
            continue
        if argument.required and argument.name not in present:
            named = argument.passing is inspect.Parameter.KEYWORD_ONLY
            shown = f"--{argument.name}" if named else argument.name.upper()
            yield Problem(shown, f"is missing; expected {argument.about}")
