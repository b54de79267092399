"""What a verb takes, and how the words of a command line become it.

Fire guesses what a word means: `false` becomes a text that counts as true, `001` the number 1. Here Fire only deals the
words out to the verb's arguments; each is then read as the kind that the verb's annotation names, and everything that
is wrong is said at once, before the verb begins.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.options import Option
from mist_bundle.runtime.settings import SETTINGS, is_expression
from mist_bundle.runtime.values import (
    FALSE_WORDS,
    TRUE_WORDS,
    Kind,
    Number,
    PathText,
    Switch,
    Text,
    Whole,
    did_you_mean,
    read_json_text,
    read_value,
)

Verb = Callable[..., None]
AnyVerb = TypeVar("AnyVerb", bound=Verb)
_KINDS: dict[Any, Kind] = {bool: Switch(), int: Whole(), float: Number(), str: Text()}
_DECLARED = "_declared_options"
_NOTHING = ("None", "null")  # as the value of an option: its default


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """One thing that a verb takes.

    Attributes:
        name: as it is typed, without the dashes.
        kind: what it may be.
        default: where it is not given; `inspect.Parameter.empty` where it has to be.
        about: what --help says.
        passing: of `inspect.Parameter`: VAR_POSITIONAL takes all words that are left, VAR_KEYWORD all other options.
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
        """Whether it has to be given."""
        return self.default is inspect.Parameter.empty and self.passing is not inspect.Parameter.VAR_KEYWORD


def takes_options(options: Iterable[Option]) -> Callable[[AnyVerb], AnyVerb]:
    """A verb whose `**options` are these."""

    def mark(verb: AnyVerb) -> AnyVerb:
        setattr(verb, _DECLARED, [option for option in options if option.public])
        return verb

    return mark


def arguments_of(verb: Verb) -> list[Argument]:
    """What a verb takes, in the order of its signature; declared options stand where its `**options` stands."""
    hints = typing.get_type_hints(verb, include_extras=True)
    _, explained = docstring_parts(verb)
    arguments: list[Argument] = []
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD and hasattr(verb, _DECLARED):
            arguments += [_declared_argument(option, explained) for option in getattr(verb, _DECLARED)]
            continue
        kind = Text() if parameter.kind is parameter.VAR_KEYWORD else _kind_of(hints[parameter.name])
        arguments.append(
            Argument(
                name=parameter.name,
                kind=kind,
                default=parameter.default,
                about=explained.get(parameter.name, ""),
                # a word without a name is never meant for a switch
                passing=parameter.KEYWORD_ONLY if isinstance(kind, Switch) else parameter.kind,
            )
        )
    return arguments


def _declared_argument(option: Option, explained: dict[str, str]) -> Argument:
    own_words = option.name in explained  # then the verb has a default of its own too
    return Argument(
        name=option.name,
        kind=option.kind,
        default=None if own_words else option.default,
        about=explained[option.name] if own_words else option.about,
        passing=inspect.Parameter.KEYWORD_ONLY,
    )


def _kind_of(hint: Any) -> Kind:
    """The kind that an annotation names: Annotated[..., Kind], bool, int, float or str, each also `| None`."""
    for part in (hint, *typing.get_args(hint)):
        for found in (part, *getattr(part, "__metadata__", ())):
            if isinstance(found, Kind):
                return found
            if isinstance(found, type) and found in _KINDS:
                return _KINDS[found]
    raise TypeError(f"{hint} names no kind of value")


def docstring_parts(verb: Verb) -> tuple[str, dict[str, str]]:
    """What stands before "Args:" in a verb's docstring, and the explanation of each parameter."""
    about, _, arguments = (inspect.getdoc(verb) or "").partition("\nArgs:\n")
    explained: dict[str, str] = {}
    name = ""
    for line in arguments.splitlines():
        start = re.match(r" {4}\*{0,2}(\w+): (.*)", line)
        if start:
            name = start[1]
            explained[name] = start[2]
        elif name and line.startswith(" " * 8):
            explained[name] += f" {line.strip()}"
        else:
            break
    return about.strip(), explained


def call(verb: Verb, words: Sequence[str]) -> None:
    """Call a verb with what the words of a command line give; all else keeps its default.

    Raises:
        InputError: naming everything that is wrong with them; the verb was not called.
    """
    import fire

    arguments = arguments_of(verb)
    options, positional, wrong = sort_words(arguments, words)
    by_name = {argument.name: argument for argument in arguments if not argument.takes_more}
    for name, value in options.items():
        if name in by_name:
            _read(by_name[name], _Typed(value), wrong)
        else:
            read_override(name, value, wrong)
    if wrong:
        raise InputError(wrong)
    dealt = [*(f"--{name}={value}" for name, value in options.items()), *positional]

    def read(*positional: Any, **named: Any) -> None:
        dealt = signature.bind(*positional, **named).arguments
        problems: list[Problem] = []
        files: tuple[str, ...] = ()
        values: dict[str, Any] = {}
        for argument in arguments:
            value = dealt.get(argument.name)
            if argument.passing is inspect.Parameter.VAR_POSITIONAL:
                files = tuple(str(word) for word in value or ())
            elif argument.passing is inspect.Parameter.VAR_KEYWORD:
                values |= {name: read_override(name, str(text), problems) for name, text in (value or {}).items()}
            elif isinstance(value, _Typed) and not (value in _NOTHING and not argument.required):
                values[argument.name] = _read(argument, value, problems)
        if problems:
            raise InputError(problems)
        verb(*files, **values)

    signature = _signature(arguments)
    read.__signature__ = signature  # type: ignore[attr-defined]  # what Fire deals the words out by
    fire.Fire(fire.decorators.SetParseFn(_Typed)(read), command=dealt, name=f"mist-bundle {verb.__name__}")


class _Typed(str):
    """A word of the command line, told apart from the default of an argument."""

    __slots__ = ()


def _signature(arguments: Sequence[Argument]) -> inspect.Signature:
    parameters = [
        inspect.Parameter(argument.name, argument.passing, default=argument.default) for argument in arguments
    ]
    # what stands behind keyword-only options in a verb of ours is one more of them
    ordered = sorted(parameters, key=lambda parameter: parameter.kind)
    return inspect.Signature(ordered)


def _read(argument: Argument, text: str, problems: list[Problem]) -> Any:
    read, sentence = read_value(argument.kind, str(text))
    if sentence is not None and not (text in _NOTHING and not argument.required):
        problems.append(Problem(f"--{argument.name}", sentence))
    return read


def read_override(name: str, text: str, problems: list[Problem]) -> Any:
    """The value of an id of a bundle's configuration; paths become absolute, MONAI's expressions stay as they are."""
    kind = SETTINGS.get(name)
    if is_expression(text) or text in _NOTHING:
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
        The options with their values as they were typed; the other words; a Problem for each option that is unknown or
        was given twice or without a value, and for words that are too many or missing.
    """
    takes_any_option = any(argument.passing is inspect.Parameter.VAR_KEYWORD for argument in arguments)
    known = {argument.name: argument for argument in arguments if not argument.takes_more}
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
            problems.append(Problem(f"--{name}", f"was given no value; expected {kind.expected if kind else 'one'}."))
        elif name in options:
            problems.append(Problem(f"--{name}", f"was given twice: {options[name]} and {value}. Give it once."))
        else:
            options[name] = value
    return options, positional, [*problems, *_count_problems(arguments, positional, options, words)]


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
    """How many arguments have to be given and are not given by name."""
    return sum(argument.required and argument.name not in _named(words) for argument in arguments)


def _named(words: Sequence[str]) -> set[str]:
    """Names of the options among the words."""
    return {word.lstrip("-").partition("=")[0].replace("-", "_") for word in words if _is_option(word)}


def _is_value(kind: Kind | None, word: str, *, is_awaited: bool) -> bool:
    """Whether a word behind an option is its value.

    Args:
        kind: of the option.
        word: the word behind it.
        is_awaited: an argument that has to be given without a name has not come yet; a word behind a switch is that.
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
    """What is missing, and which words are too many."""
    unnamed = [
        argument
        for argument in arguments
        if argument.passing is inspect.Parameter.POSITIONAL_OR_KEYWORD and argument.name not in options
    ]
    takes_any_word = any(argument.passing is inspect.Parameter.VAR_POSITIONAL for argument in arguments)
    if len(positional) > len(unnamed) and not takes_any_word:
        extra = " ".join(positional[len(unnamed) :])
        yield Problem("arguments", f"{extra!r} is left over; {len(unnamed)} can be given without a name here.")
    filled = {argument.name for argument in unnamed[: len(positional)]} | _named(words)
    for argument in arguments:
        if argument.passing is inspect.Parameter.VAR_POSITIONAL and positional:
            continue
        if argument.required and argument.name not in filled:
            yield Problem(argument.name.upper(), f"is missing; expected {argument.about}")
