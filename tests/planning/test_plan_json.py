"""Plan.from_json undoes Plan.to_json, for any plan that the types allow and for those that the rules make."""

from __future__ import annotations

import json
import random
import types
import typing
from typing import Any

import pytest

from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.errors import InputError
from mist_bundle.files import read_json
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.plan import OPTIONAL_FIELDS, PLAN_VERSION, Plan
from mist_bundle.planning.recipes import RECIPES
from tests.bundle.golden import BUNDLES
from tests.planning.plans import small_plan

LETTERS = "abcäß $@#'\"\n\\0"


def anything(draw: random.Random, hint: Any, depth: int = 0) -> Any:
    """A random value of an annotated type; of Any, what JSON can hold."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        plain = [str, int, float, bool, type(None)]
        nested = [] if depth > 2 else [list[Any], dict[str, Any]]
        return anything(draw, draw.choice([*plain, *nested]), depth + 1)
    if origin in (typing.Union, types.UnionType):
        return anything(draw, draw.choice(arguments), depth)
    if origin is Decision:
        return Decision(anything(draw, arguments[0], depth), anything(draw, str))
    if origin is tuple and arguments[-1] is not Ellipsis:
        return tuple(anything(draw, argument, depth) for argument in arguments)
    if origin in (tuple, list):
        return origin(anything(draw, arguments[0], depth) for _ in range(draw.randrange(4)))
    if origin is not None:  # a mapping
        return {anything(draw, str): anything(draw, arguments[1], depth) for _ in range(draw.randrange(4))}
    if hint is type(None):
        return None
    values = {
        str: lambda: "".join(draw.choices(LETTERS, k=draw.randrange(8))),
        int: lambda: draw.randrange(-(10**20), 10**20),
        float: lambda: draw.choice([draw.uniform(-1e9, 1e9), draw.random() * 1e-300, 0.0, -0.0, 1.0, 1e22]),
        bool: lambda: draw.random() < 0.5,
    }
    return values[hint]()


@pytest.mark.parametrize("seed", range(100))
def test_any_plan_comes_back_as_it_was(seed: int) -> None:
    draw = random.Random(seed)
    plan = Plan(**{name: anything(draw, hint) for name, hint in typing.get_type_hints(Plan).items()})
    written = json.loads(json.dumps(plan.to_json()))
    again = Plan.from_json(written)
    assert again == plan
    assert again.to_json() == written


@pytest.mark.parametrize("network", NETWORKS)
def test_the_plan_of_every_network_comes_back_as_it_was(network: str) -> None:
    plan = small_plan(network=network, patch_size=(32, 32, 32))
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_plan_of_every_recipe_comes_back_as_it_was(recipe: str) -> None:
    plan = small_plan(recipe=recipe, modality="ct")
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_the_plans_in_the_repository_are_read() -> None:
    plans = sorted(BUNDLES.rglob("plan.json"))
    assert plans
    for path in plans:
        assert Plan.from_json(read_json(path), str(path)).num_folds > 1


@pytest.mark.parametrize("version", [0, PLAN_VERSION + 1, "1", None, True])
def test_another_version_is_refused(version: Any) -> None:
    content = {**small_plan().to_json(), "plan_version": version}
    with pytest.raises(
        InputError, match=rf"p\.json, plan_version: is .*; this version of mist-bundle reads {PLAN_VERSION}"
    ):
        Plan.from_json(content, "p.json")


def test_what_is_no_plan_is_refused() -> None:
    for content in ([], "text", None, {"decisions": {}}):
        with pytest.raises(InputError, match=r"is not a plan of mist-bundle"):
            Plan.from_json(content)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    content = small_plan().to_json()
    del content["task"]
    content["num_folds"] = 2.5
    content["colour"] = "red"
    content["decisions"]["patch_size"]["value"] = [16, 16]
    content["decisions"]["seed_of_luck"] = {"value": 1, "because": ""}
    content["decisions"]["epochs"] = 5
    content["decisions"]["residual"]["value"] = 1
    with pytest.raises(InputError) as caught:
        Plan.from_json(content, "p.json")
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert set(found) == {
        "p.json, task",
        "p.json, num_folds",
        "p.json, colour",
        "p.json, decisions#patch_size",
        "p.json, decisions#seed_of_luck",
        "p.json, decisions#epochs",
        "p.json, decisions#residual",
    }
    assert found["p.json, num_folds"] == "is 2.5; expected a whole number."
    assert found["p.json, decisions#patch_size"].endswith("expected a list of 3.")


def test_fields_of_later_versions_may_be_missing() -> None:
    plan = small_plan()
    assert not {name for name in OPTIONAL_FIELDS if getattr(plan, name) is None} & set(plan.to_json())
    assert Plan.from_json(plan.to_json()).initial_weights is None
