"""What verbs are called with, from the words of a real command line."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from mist_bundle import cli
from mist_bundle.api.arguments import arguments_of, takes
from mist_bundle.api.kinds import FileName, Folds, MetricOptions, Weights, Words, Workers
from mist_bundle.cli.arguments import call
from mist_bundle.errors import InputError
from mist_bundle.planning.options import OPTIONS, PlanOptions
from mist_bundle.runtime.values import Whole

SEEN: dict[str, Any] = {}


def verb(
    *files: str,
    name: str = "x",
    other: str | None = None,
    flag: bool = True,
    maybe: bool | None = None,
    count: int = 1,
    most: Annotated[int, Whole(low=1)] | None = None,
    rate: float | None = None,
    fold: Folds = (0,),
    workers: Workers = 1,
    words: Words | None = None,
    metric_options: MetricOptions | None = None,
    weights: Weights | None = None,
    **rest: Any,
) -> None:
    """A verb with an argument of each kind.

    Args:
        *files: words without a name.
    """
    SEEN.clear()
    SEEN.update({key: value for key, value in locals().items() if key != "rest"}, **rest)


@takes(OPTIONS)
def planning_verb(data: FileName, output: FileName = ".", overwrite: bool = False, **options: Any) -> None:
    """A verb with all options of the planner.

    Args:
        data: the dataset's description.
    """
    SEEN.clear()
    SEEN.update(data=data, output=output, overwrite=overwrite, **options)


def _called(words: list[str]) -> dict[str, Any]:
    call(verb, words if words and not words[0].startswith("-") else ["file", *words])
    return dict(SEEN)


def _refused(words: list[str], what: Any = verb) -> list[str]:
    SEEN.clear()
    with pytest.raises(InputError) as caught:
        call(what, words)
    assert not SEEN, "the verb was called"
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("words", "name", "expected"),
    [
        ("--flag false", "flag", False),
        ("--flag False", "flag", False),
        ("--flag no", "flag", False),
        ("--flag=true", "flag", True),
        ("--noflag", "flag", False),
        ("--maybe TRUE", "maybe", True),
        ("--maybe", "maybe", True),
        ("", "maybe", None),
        ("--count 3.0", "count", 3),
        ("--count 1e3", "count", 1000),
        ("--count -2", "count", -2),
        ("--most 4", "most", 4),
        ("--rate 1", "rate", 1.0),
        ("--rate None", "rate", None),
        ("--name 5", "name", "5"),
        ("--other 001", "other", "001"),
        ("--own::id false", "own::id", False),
        ("--own_id [1,2]", "own_id", [1, 2]),
        ("--own_id word", "own_id", "word"),
        ("--epochs 5", "epochs", 5),
        ("--ensemble no", "ensemble", False),
        ("--patch_size 32", "patch_size", (32, 32, 32)),
        ("--learning_rate $1e-3*2", "learning_rate", "$1e-3*2"),
        ("--work_dir /x/run#2/@a", "work_dir", "/x/run#2/@a"),
        ("--fold 0,2", "fold", (0, 2)),
        ("--fold all", "fold", "all"),
        ("--workers tcp://10.0.0.1:8786", "workers", "tcp://10.0.0.1:8786"),
        ("--words a,b", "words", ("a", "b")),
        ("--weights {'dice':2}", "weights", {"dice": 2}),
        ('--metric_options {"a":{"symmetric":false}}', "metric_options", {"a": {"symmetric": False}}),
        ("1 b", "files", ("1", "b")),
    ],
)
def test_values_become_what_the_verb_takes(words: str, name: str, expected: Any) -> None:
    value = _called(words.split())[name]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--flag maybe", "--flag: is 'maybe'; expected true or false."),
        ("--count 2.5", "--count: is '2.5'; expected a whole number."),
        ("--count inf", "--count: is 'inf'; expected a whole number."),
        ("--count", "--count: has no value; expected a whole number."),
        ("--most 0", "--most: is 0; expected a whole number, 1 or more."),
        ("--rate x", "--rate: is 'x'; expected a number."),
        ("--other", "--other: has no value; expected a word."),
        ("--other=", "--other: is ''; expected a word."),
        ("--count 3 --count 5", "--count: is passed twice: 3 and 5. Keep only one of them."),
        ("--count 3 --count=3", "--count: is passed twice: 3 and 3. Keep only one of them."),
        ("--flag --noflag", "--flag: is passed twice: true and false. Keep only one of them."),
        ("--nomost", "--nomost: has no value; expected a value."),
        ("--fold -1", "--fold: is [-1]; expected the number of a fold (0, 1 …), several like 0,1, or all."),
        ("--workers 0", "--workers: is 0; expected a number of processes from 1 to 1024, or tcp://HOST:PORT of a Dask"),
        ("--epochs abc", "--epochs: is 'abc'; expected a whole number, 1 or more and at most 1000000."),
        ("--overlap 2", "--overlap: is 2.0; expected 0 or more and less than 1."),
        ("--ensemble perhaps", "--ensemble: is 'perhaps'; expected true or false."),
        ("-c 3", "-c: is not an option; options begin with two dashes."),
        ("--metric_options {bad", "--metric_options: is not JSON: Expecting property name"),
        ('--metric_options {"a":1}', "--metric_options: is {'a': 1}; expected options by metric"),
        ('--weights {"a":1,"a":2}', "--weights: holds the key 'a' twice"),
    ],
)
def test_what_is_none_of_it_is_refused_before_anything_runs(words: str, message: str) -> None:
    (line,) = _refused(["file", *words.split()])
    assert line.startswith(message)


def test_all_of_them_at_once() -> None:
    lines = _refused(["--flag", "maybe", "--count", "x", "--rate", "y", "--words", "a", "--words", "b"], planning_verb)
    assert [line.partition(":")[0] for line in lines] == ["--flag", "--count", "--rate", "--words", "--words", "DATA"]
    lines = _refused(["f", "--flag", "maybe", "--count", "x", "--count", "3", "--rate", "y"])
    assert sorted(line.partition(":")[0] for line in lines) == ["--count", "--count", "--flag", "--rate"]


def test_a_word_behind_a_switch_is_the_argument_that_has_to_be_given() -> None:
    call(planning_verb, ["--overwrite", "data.json", "out"])
    assert SEEN == {"data": "data.json", "output": "out", "overwrite": True}
    assert _refused(["data.json", "--overwrite", "maybe"], planning_verb) == [
        "--overwrite: is 'maybe'; expected true or false."
    ]


def test_what_is_missing_and_what_is_left_over() -> None:
    assert _refused([], planning_verb) == ["DATA: is missing; expected the dataset's description."]
    (line,) = _refused(["a", "b", "c"], planning_verb)
    assert line.startswith("arguments: 'c' is left over")
    assert _refused(["--name", "n"])[0].startswith("FILES: is missing")


def _planned(words: list[str]) -> PlanOptions:
    call(planning_verb, ["data.json", *words])
    return PlanOptions(**{name: value for name, value in SEEN.items() if name in OPTIONS})


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
        (["--network_arguments", "{'a': False}"], "network_arguments", {"a": False}),
        (
            ["--loss_arguments", '{"softmax": true, "mode": "mean"}'],
            "loss_arguments",
            {"softmax": True, "mode": "mean"},
        ),
        (["--noregions"], "regions", False),
        (["--epochs", "None"], "epochs", None),
        (["--seed", "None"], "seed", 42),
        ([], "folds", 5),
    ],
)
def test_options_of_the_planner(words: list[str], name: str, expected: Any) -> None:
    assert getattr(_planned(words), name) == expected


@pytest.mark.parametrize("words", [["--flip_axes"], ["--noflip_axes"], ["--patch_size"], ["--target_spacing"]])
def test_an_option_without_a_value_is_refused(words: list[str]) -> None:
    assert any(text in _refused(["data.json", *words], planning_verb)[0] for text in ("no value", "not an option"))


@pytest.mark.parametrize("name", sorted(cli.VERBS))
def test_every_argument_has_a_kind_and_a_default_of_that_kind(name: str) -> None:
    for argument in arguments_of(cli.VERBS[name]):
        if not argument.required and argument.default is not None and not argument.takes_more:
            assert argument.kind.holds(argument.default), argument.name
