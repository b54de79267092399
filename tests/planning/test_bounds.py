"""Numeric options: what is refused, and in which words."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest

from mist_bundle.planning.bounds import BOUNDS, number_problems
from mist_bundle.planning.options import PlanOptions


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("epochs", 0, "is 0; expected a whole number, 1 or more."),
        ("epochs", "ten", "is 'ten'; expected a whole number, 1 or more."),
        ("epochs", 2.5, "is 2.5; expected a whole number, 1 or more."),
        ("batch_size", True, "is True; expected a whole number, 1 or more."),
        ("folds", 1, "is 1; expected a whole number, 2 or more, since each fold is tested once."),
        ("val_fraction", 1, "is 1; expected 0 or more and less than 1."),
        ("val_fraction", -0.1, "is -0.1; expected 0 or more and less than 1."),
        ("learning_rate", 0, "is 0; expected more than 0."),
        ("learning_rate", math.nan, "is nan; expected more than 0."),
        ("weight_decay", -1e-5, "is -1e-05; expected 0 or more (0 for none)."),
        ("ema_decay", 1.0, "is 1.0; expected 0 or more and less than 1 (0 for none)."),
        ("warmup_steps", 0.5, "is 0.5; expected a whole number, 0 or more (0 for none)."),
        ("accumulation_steps", 0, "is 0; expected a whole number, 1 or more."),
    ],
)
def test_refused(name: str, value: object, text: str) -> None:
    problems = list(number_problems(replace(PlanOptions(), **{name: value})))  # type: ignore[arg-type]
    assert [str(problem) for problem in problems] == [f"--{name}: {text}"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("epochs", 1), ("folds", 2), ("val_fraction", 0), ("learning_rate", 1e-9), ("weight_decay", 0)),
        *(("l1_penalty", 0.1), ("grad_clip_norm", 0), ("ema_decay", 0.999), ("early_stopping", 0), ("seed", 0)),
    ],
)
def test_accepted(name: str, value: object) -> None:
    assert not list(number_problems(replace(PlanOptions(), **{name: value})))  # type: ignore[arg-type]


def test_every_row_is_an_option_and_the_defaults_pass() -> None:
    assert set(BOUNDS) <= {field.name for field in fields(PlanOptions)}
    assert not list(number_problems(PlanOptions()))
