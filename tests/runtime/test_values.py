"""Kinds of values: what each reads, holds and refuses."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mist_bundle.runtime.values import (
    JsonObject,
    Kind,
    Number,
    PathText,
    Several,
    Switch,
    Text,
    Whole,
    Word,
    read_json_text,
    read_value,
    truth,
)

SHARE = Number(low=0, high=1, open_high=True)
AXES = Several(of=Whole(low=1), length=3, repeat=True)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        *((Switch(), word, True) for word in ("true", "TRUE", "yes", "on", "1")),
        *((Switch(), word, False) for word in ("false", "No", "off", "0")),
        (Whole(), "-3", -3),
        (Whole(), "1e2", 100),
        (Number(), "1e-3", 1e-3),
        (AXES, "16", (16, 16, 16)),
        (AXES, "(16, 8,4)", (16, 8, 4)),
        (Several(of=Whole()), "[]", ()),
        (Several(of=Text()), "['a', \"b\"]", ("a", "b")),
        (JsonObject(), '{"a": [true, null]}', {"a": [True, None]}),
        (JsonObject(), "{'a': None}", {"a": None}),
        (Word(choices=("a", "b")), "a", "a"),
        (Word(choices=("a",), own=True), "my.module.Net", "my.module.Net"),
    ],
)
def test_read(kind: Kind, text: str, value: Any) -> None:
    assert read_value(kind, text) == (value, None)


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (Switch(), "maybe", "is 'maybe'; expected true or false."),
        (Whole(low=1), "0", "is 0; expected a whole number, 1 or more."),
        (Whole(low=1), "ten", "is 'ten'; expected a whole number, 1 or more."),
        (Whole(low=1), "2.5", "is '2.5'; expected a whole number, 1 or more."),
        (Whole(low=1), "nan", "is 'nan'; expected a whole number, 1 or more."),
        (Whole(low=1, high=9), "10", "is 10; expected a whole number, 1 or more and at most 9."),
        (Number(low=0, open_low=True), "0", "is 0.0; expected more than 0."),
        (Number(low=0), "inf", "is inf; expected 0 or more."),
        (SHARE, "1", "is 1.0; expected 0 or more and less than 1."),
        (Number(low=0, why=" (0 for none)"), "-1", "is -1.0; expected 0 or more (0 for none)."),
        (AXES, "16,16", "is [16, 16]; expected 1 or 3 values (a whole number, 1 or more)."),
        (AXES, "16,-1,16", "is [16, -1, 16]; expected 1 or 3 values (a whole number, 1 or more)."),
        (AXES, "big", "is 'big'; expected 1 or 3 values (a whole number, 1 or more)."),
        (
            Several(of=Whole(), distinct=True),
            "4,3,4",
            "expected values separated by commas (a whole number), none twice",
        ),
        (JsonObject(), "{bad", "is not JSON: Expecting property name"),
        (JsonObject(), '{"a": 1, "a": 2}', "holds the key 'a' twice"),
        (JsonObject(), "[1]", "is [1]; expected a JSON object"),
        (Text(), " ", "is ' '; expected a word."),
        (
            Word(choices=("cosine", "constant"), what="schedule"),
            "cosin",
            "no schedule called 'cosin'. Did you mean 'cosine'?",
        ),
    ],
)
def test_refused(kind: Kind, text: str, sentence: str) -> None:
    assert sentence in (read_value(kind, text)[1] or "")


def test_endless_and_deep_values_are_refused_in_a_short_sentence() -> None:
    for kind, text in ((Whole(), "9" * 5000), (Number(), "x" * 5000), (JsonObject(), "[" * 100_000)):
        sentence = read_value(kind, text)[1]
        assert sentence
        assert len(sentence) < 300


@pytest.mark.parametrize("value", [True, "1", None, math.nan, math.inf, 10**400, [1]])
def test_what_is_no_number_in_python(value: Any) -> None:
    assert not Number(low=0).holds(value)
    assert not Whole(low=0, high=100).holds(value)


def test_numbers_of_numpy_are_numbers() -> None:
    assert Whole(low=1).holds(np.int64(3))
    assert type(Whole().clean(np.int64(3))) is int
    assert Number(low=0).holds(np.float32(0.5))
    assert Number(low=0).holds(Fraction(1, 3))
    assert not Whole().holds(np.float64(2.5))


def test_python_values_take_the_form_in_which_they_are_kept() -> None:
    assert AXES.clean(16) == (16, 16, 16)
    assert AXES.clean([8, 4, 2]) == (8, 4, 2)
    assert AXES.clean("x") == "x"
    assert PathText().clean(Path("a") / "b") == str(Path("a/b"))


@given(st.lists(st.integers(-1000, 1000), max_size=6))
def test_several_numbers_are_read_as_python_writes_them(values: list[int]) -> None:
    for text in (str(values), ",".join(map(str, values)), str(tuple(values))):
        assert Several(of=Whole()).read(text) == tuple(values)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5))
def test_json_is_read_as_json(value: Any) -> None:
    import json

    assert read_json_text(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "meant"), [("false", False), ("Yes", True), (True, True), (0, False), ("off", False)]
)
def test_words_for_switches_mean_what_they_say(value: Any, meant: bool) -> None:
    assert truth(value) is meant


def test_a_word_that_is_neither_is_no_truth() -> None:
    with pytest.raises(ValueError, match="maybe"):
        truth("maybe")
