"""Kinds of values: how a word of the command line is read, what a value may be, and the message for a wrong value.

Each kind can `read` a text, `clean` a Python value, say whether a value `holds`, and what is `expected`. Options of the
planner, arguments of the verbs and settings of a running bundle all refer to these, so that a value means the same
everywhere. Standard library only: this file travels in every bundle.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

from .wording import did_you_mean

TRUE_WORDS = frozenset({"true", "yes", "on", "1"})
FALSE_WORDS = frozenset({"false", "no", "off", "0"})
_LONGEST = 80  # characters of a refused value that a message repeats


def truth(value: Any) -> bool:
    """True or False of a switch that may come as a word: monai.bundle's command line hands `false` over as text.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str):
        return Switch().read(value)
    return bool(value)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of value. `why` ends the sentence that refuses a value."""

    why: str = ""
    shown = "VALUE"  # what --help writes for a value

    def read(self, text: str) -> Any:
        """The value that a text stands for.

        Raises:
            ValueError: it stands for none.
        """
        raise NotImplementedError

    def clean(self, value: Any) -> Any:
        """A Python value in the form that this package keeps; a value of another kind is returned as it is."""
        return value

    def holds(self, value: Any) -> bool:
        """Whether a value is of this kind and within its bounds."""
        raise NotImplementedError

    @property
    def expected(self) -> str:
        """What a value should be, in words."""
        raise NotImplementedError

    def problem(self, value: Any) -> str | None:
        """A sentence that says what is wrong with a value, or None."""
        return None if self.holds(value) else self.refusal(value)

    def refusal(self, value: Any) -> str:
        """The sentence that refuses a value."""
        return f"is {_short(value)}; expected {self.expected}{self.why}."


@dataclass(frozen=True, kw_only=True)
class Switch(Kind):
    """True or false."""

    shown = ""

    def read(self, text: str) -> bool:
        word = text.strip().lower()
        if word not in TRUE_WORDS | FALSE_WORDS:
            raise ValueError(text)
        return word in TRUE_WORDS

    def holds(self, value: Any) -> bool:
        return isinstance(value, bool)

    @property
    def expected(self) -> str:
        return "true or false"


@dataclass(frozen=True, kw_only=True)
class Number(Kind):
    """A finite number from `low` to `high`; `open_low` and `open_high` leave the bound itself out."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    shown = "NUMBER"

    def read(self, text: str) -> float:
        return float(text)

    def holds(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        try:
            number = float(value)
        except OverflowError:
            return False
        if not math.isfinite(number):
            return False
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        return above and below

    @property
    def expected(self) -> str:
        return self._within() or "a number"

    def _within(self) -> str:
        """The bounds in words, "" where there are none."""
        parts = []
        if math.isfinite(self.low):
            parts.append(f"more than {_digits(self.low)}" if self.open_low else f"{_digits(self.low)} or more")
        if math.isfinite(self.high):
            parts.append(f"less than {_digits(self.high)}" if self.open_high else f"at most {_digits(self.high)}")
        return " and ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Whole(Number):
    """A whole number."""

    def read(self, text: str) -> int:
        try:
            return int(text)
        except ValueError:
            value = float(text)  # 1e3 and 3.0 are whole numbers too
        if not math.isfinite(value) or value != int(value):
            raise ValueError(text)
        return int(value)

    def clean(self, value: Any) -> Any:
        return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else value

    def holds(self, value: Any) -> bool:
        return isinstance(value, Integral) and super().holds(value)

    @property
    def expected(self) -> str:
        within = self._within()
        return f"a whole number, {within}" if within else "a whole number"


@dataclass(frozen=True, kw_only=True)
class Text(Kind):
    """Any words, but not an empty text."""

    shown = "TEXT"

    def read(self, text: str) -> str:
        return text

    def holds(self, value: Any) -> bool:
        return isinstance(value, str) and bool(value.strip())

    @property
    def expected(self) -> str:
        return "a word"


@dataclass(frozen=True, kw_only=True)
class PathText(Text):
    """The name of a file or folder; kept as text."""

    shown = "PATH"

    def clean(self, value: Any) -> Any:
        return str(value) if isinstance(value, PurePath) else value

    @property
    def expected(self) -> str:
        return "a file or folder"


@dataclass(frozen=True, kw_only=True)
class Word(Text):
    """A word of a list.

    Attributes:
        choices: the list.
        what: what the words are called in a sentence ("network").
        own: the user's own code, a dotted path or a file, is accepted too.
    """

    choices: Iterable[str] = ()
    what: str = ""
    own: bool = False

    def holds(self, value: Any) -> bool:
        return isinstance(value, str) and (value in self.choices or (self.own and ("." in value or ":" in value)))

    @property
    def expected(self) -> str:
        return f"any of {', '.join(self.choices)}"

    def refusal(self, value: Any) -> str:
        hint = did_you_mean(str(value)[:_LONGEST], self.choices)
        return f"there is no {self.what or 'choice'} called {_short(value)}. {hint}"


@dataclass(frozen=True, kw_only=True)
class Several(Kind):
    """A list of values of the same kind: `1,2,3`, `[1, 2, 3]` or `1`.

    Attributes:
        of: the kind of each.
        length: how many there must be; None for any number.
        repeat: a single value stands for all `length` of them.
        least: the smallest number of values, where `length` is None.
        distinct: no value may stand twice.
    """

    of: Kind
    length: int | None = None
    repeat: bool = False
    least: int = 0
    distinct: bool = False

    def read(self, text: str) -> tuple[Any, ...]:
        inner = text.strip()
        if inner[:1] + inner[-1:] in ("[]", "()"):
            inner = inner[1:-1]
        values = []
        for part in inner.split(","):
            word = part.strip().strip("'\"")
            if word:
                values.append(self.of.read(word))
        return self._repeated(tuple(values))

    def clean(self, value: Any) -> Any:
        if isinstance(value, Sequence) and not isinstance(value, str):
            return self._repeated(tuple(map(self.of.clean, value)))
        return self._repeated((self.of.clean(value),)) if self.of.holds(value) else value

    def _repeated(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return values * self.length if self.repeat and self.length and len(values) == 1 else values

    def holds(self, value: Any) -> bool:
        if isinstance(value, str) or not isinstance(value, Sequence):
            return False
        right_length = len(value) >= self.least if self.length is None else len(value) == self.length
        without_repeats = not self.distinct or len(set(value)) == len(value)
        return right_length and without_repeats and all(map(self.of.holds, value))

    @property
    def expected(self) -> str:
        if self.length is None:
            count = f"at least {self.least} values" if self.least > 1 else "values separated by commas"
        else:
            count = f"1 or {self.length} values" if self.repeat else f"{self.length} values"
        different = ", none twice" if self.distinct else ""
        return f"{count} ({self.of.expected}{self.of.why}){different}"


@dataclass(frozen=True, kw_only=True)
class JsonObject(Kind):
    """A JSON object. Keys are words."""

    shown = "JSON"

    def read(self, text: str) -> Any:
        return read_json_text(text)

    def holds(self, value: Any) -> bool:
        return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)

    @property
    def expected(self) -> str:
        return """a JSON object like '{"width": 16}'"""


def read_json_text(text: str) -> Any:
    """JSON as it is typed on a command line; a Python literal is understood too.

    Raises:
        ValueError: it is neither; the message says what is wrong with the JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_repeated_keys)
    except json.JSONDecodeError as error:
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise ValueError(f"is not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError("is nested too deeply to be read") from None


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"holds the key {key!r} twice")
        result[key] = value
    return result


def read_value(kind: Kind, text: str) -> tuple[Any, str | None]:
    """A text as a value of a kind, and what is wrong with it (None: nothing)."""
    try:
        value = kind.clean(kind.read(text))
    except (ValueError, OverflowError) as error:
        reason = str(error)
        if reason.startswith(("is ", "holds ")):  # a kind that has more to say than what it expected
            return None, f"{reason}; expected {kind.expected}."
        return None, kind.refusal(text)
    return value, kind.problem(value)


def _short(value: Any) -> str:
    """A value as a message shows it: tuples as lists, and nothing longer than a line."""
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _digits(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"
