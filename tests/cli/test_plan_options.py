"""From the words of autoconfig to PlanOptions."""

from __future__ import annotations

from typing import Any

import fire
import pytest

from mist_bundle.cli.plan_options import plan_options
from mist_bundle.errors import InputError
from mist_bundle.planning.options import PlanOptions


def _options(words: list[str]) -> PlanOptions:
    made: list[PlanOptions] = []

    def verb(format: str = "json", overwrite: bool = False, **given: Any) -> None:
        del overwrite  # what is not the planner's is passed over
        made.append(plan_options({"format": format, **given}))

    fire.Fire(verb, command=words, name="verb")
    return made[0]


@pytest.mark.parametrize(
    ("words", "name", "expected"),
    [
        (["--patch_size", "32"], "patch_size", (32, 32, 32)),
        (["--patch_size", "[32,16,8]"], "patch_size", (32, 16, 8)),
        (["--target_spacing", "1,1,2.5"], "target_spacing", (1.0, 1.0, 2.5)),
        (["--flip_axes", "[]"], "flip_axes", ()),
        (["--flip_axes", "1"], "flip_axes", (1,)),
        (["--class_weights", "auto"], "class_weights", "auto"),
        (["--class_weights", "1,2"], "class_weights", (1.0, 2.0)),
        (["--deep_supervision_weights", "1,0.5"], "deep_supervision_weights", (1.0, 0.5)),
        (["--patch_divisor", "16"], "patch_divisor", (16, 16, 16)),
        (["--network_arguments", '{"a": false, "b": [null, 1]}'], "network_arguments", {"a": False, "b": [None, 1]}),
        (
            ["--loss_arguments", '{"softmax": true, "mode": "mean"}'],
            "loss_arguments",
            {"softmax": True, "mode": "mean"},
        ),
        (["--epochs", "None"], "epochs", None),
        ([], "folds", 5),
    ],
)
def test_each_is_read_as_what_it_is(words: list[str], name: str, expected: Any) -> None:
    assert getattr(_options(words), name) == expected


@pytest.mark.parametrize("words", [["--flip_axes"], ["--noflip_axes"], ["--patch_size"], ["--target_spacing"]])
def test_an_option_without_a_value_is_refused(words: list[str]) -> None:
    with pytest.raises(InputError, match="was given no value"):
        _options(words)


def test_everything_that_cannot_be_read_is_named_at_once() -> None:
    words = ["--format", "toml", "--patch_size", "a,b", "--flip_axes", "1.5", "--network_arguments", "width"]
    with pytest.raises(InputError) as caught:
        _options(words)
    named = [problem.path for problem in caught.value.problems]
    assert sorted(named) == ["--flip_axes", "--format", "--network_arguments", "--patch_size"]
