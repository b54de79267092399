"""The declared options: what is refused, and in which words."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest

from mist_bundle.planning.checks import value_problems
from mist_bundle.planning.options import OPTIONS, TRANSFER_OPTIONS, PlanOptions, TransferOptions


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("epochs", 0, "is 0; expected a whole number, 1 or more and at most 1000000."),
        ("epochs", "ten", "is 'ten'; expected a whole number, 1 or more and at most 1000000."),
        ("epochs", 2.5, "is 2.5; expected a whole number, 1 or more and at most 1000000."),
        ("batch_size", True, "is True; expected a whole number, 1 or more and at most 10000."),
        ("batch_size", 10**9, "is 1000000000; expected a whole number, 1 or more and at most 10000."),
        ("folds", 1, "is 1; expected a whole number, 2 or more and at most 10000, since each fold is tested once."),
        ("val_fraction", 1, "is 1; expected 0 or more and less than 1."),
        ("val_fraction", -0.1, "is -0.1; expected 0 or more and less than 1."),
        ("learning_rate", 0, "is 0; expected more than 0 and at most 10."),
        ("learning_rate", math.nan, "is nan; expected more than 0 and at most 10."),
        ("weight_decay", -1e-5, "is -1e-05; expected 0 or more and at most 10 (0 for none)."),
        ("ema_decay", 1.0, "is 1.0; expected 0 or more and less than 1 (0 for none)."),
        ("warmup_steps", 0.5, "is 0.5; expected a whole number, 0 or more and at most 1000000000 (0 for none)."),
        ("seed", -1, "is -1; expected a whole number, 0 or more and at most 4294967295."),
        ("kernel_size", 4, "is 4; expected 3, 5 or 7."),
        ("residual", "yes", "is 'yes'; expected true or false."),
        ("deep_supervision_weights", (0.0, 1.0), "is [0.0, 1.0]; expected numbers of 0 or more, the first above 0."),
        (
            "class_weights",
            "autos",
            "is 'autos'; expected auto, or numbers of 0 or more, not all 0, like 0.5,1,2.",
        ),
    ],
)
def test_refused(name: str, value: object, text: str) -> None:
    problems = list(value_problems(replace(PlanOptions(), **{name: value})))  # type: ignore[arg-type]
    assert [str(problem) for problem in problems] == [f"--{name}: {text}"]


@pytest.mark.parametrize("name", ["patch_size", "max_patch_size", "target_spacing", "flip_axes"])
@pytest.mark.parametrize("value", [(0, 0, 0.5), "big", (1, 2, 3, -4), (10**5, 10**5, 10**5, 10**5), (4, 3, 4)])
def test_sizes_and_axes(name: str, value: object) -> None:
    assert list(value_problems(replace(PlanOptions(), **{name: value}))) or value == (4, 3, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("weights", [(), (1.0, -1.0), (0.0, 0.0), (math.nan, 1.0), (math.inf, 1.0), "autos"])
def test_weights_of_classes(weights: tuple[float, ...] | str) -> None:
    (problem,) = value_problems(PlanOptions(class_weights=weights))
    assert "expected auto, or numbers of 0 or more, not all 0" in str(problem)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("epochs", 1), ("folds", 2), ("val_fraction", 0), ("learning_rate", 1e-9), ("weight_decay", 0)),
        *(("l1_penalty", 0.1), ("grad_clip_norm", 0), ("ema_decay", 0.999), ("early_stopping", 0), ("seed", 0)),
        *(("class_weights", "auto"), ("flip_axes", ()), ("network", "own.module.Net"), ("loss", "file.py:Loss")),
    ],
)
def test_accepted(name: str, value: object) -> None:
    assert not list(value_problems(replace(PlanOptions(), **{name: value})))  # type: ignore[arg-type]


def test_every_option_says_what_it_is_and_the_defaults_pass() -> None:
    for kind, options in ((PlanOptions, OPTIONS), (TransferOptions, TRANSFER_OPTIONS)):
        assert list(options) == [field.name for field in fields(kind)]
        for option in options.values():
            assert option.about.endswith("."), option.name
            assert option.default is None or option.kind.holds(option.default), option.name
    assert not list(value_problems(PlanOptions()))


def test_memory_is_given_in_words_from_python_too() -> None:
    kind = OPTIONS["memory"].kind
    assert [kind.clean(size) for size in ("24GB", "16384MB", 8)] == [24.0, 16.0, 8]
    assert not kind.holds(kind.clean("plenty"))
