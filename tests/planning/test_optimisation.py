"""How the weights are found: what was asked for wins over the recipe, and what does not fit is adapted."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from mist_bundle.bundle.configs.inference import inference_config
from mist_bundle.bundle.configs.train import train_config
from mist_bundle.planning.optimisation import SETTINGS, decide_optimisation
from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.plan import Plan
from mist_bundle.planning.recipes import RECIPES
from tests.planning.plans import small_plan


def test_settings_have_one_name_everywhere() -> None:
    for kind in (PlanOptions, Plan):
        assert set(SETTINGS) <= {field.name for field in fields(kind)}


def test_the_recipe_decides_what_the_user_left_open() -> None:
    decided = decide_optimisation(PlanOptions(recipe="mist2"), RECIPES["mist2"], total_steps=250_000)
    for name in SETTINGS:
        assert decided[name].value == getattr(RECIPES["mist2"].options, name)
        assert decided[name].because == "Default of recipe 'mist2'."
    assert decided["warmup_steps"].value == 20 * 250, "2.3.0's twenty epochs of a thousand"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("optimizer", "sgd"), ("schedule", "polynomial"), ("weight_decay", 0.0), ("l1_penalty", 1e-6)),
        *(("grad_clip_norm", 0.0), ("accumulation_steps", 4), ("ema_decay", 0.5), ("early_stopping", 7)),
        *(("precision", "fp32"), ("compile", True), ("augmentation", "none"), ("learning_rate", 0.1)),
    ],
)
def test_an_option_wins_over_the_recipe(name: str, value: object) -> None:
    options = replace(PlanOptions(recipe="quick"), **{name: value})  # type: ignore[arg-type]
    decided = decide_optimisation(options, RECIPES["quick"], total_steps=100)[name]
    assert decided.value == value
    assert decided.because.startswith("Chosen by the user.")


@pytest.mark.parametrize(("asked", "decided"), [(0, 0), (1, 1), (99, 99), (100, 10), (5000, 10)])
def test_warm_up_is_never_longer_than_the_run(asked: int, decided: int) -> None:
    plan = decide_optimisation(PlanOptions(warmup_steps=asked), RECIPES["paper"], total_steps=100)
    assert plan["warmup_steps"].value == decided
    assert plan["warmup_fraction"] is None
    assert ("a tenth of them instead" in plan["warmup_steps"].because) == (asked >= 100)


def test_warm_up_of_the_recipe_follows_the_run() -> None:
    for total in (10, 1000):
        plan = decide_optimisation(PlanOptions(recipe="quick"), RECIPES["quick"], total_steps=total)
        assert plan["warmup_steps"].value == int(RECIPES["quick"].warmup_fraction * total)


@pytest.mark.parametrize(
    ("asked", "trained", "tested"),
    [
        ({}, (0, 1, 2), (0, 1, 2)),
        ({"flip_axes": (1, 2)}, (1, 2), (1, 2)),
        ({"flip_axes": ()}, (), ()),
        ({"recipe": "quick"}, (0,), ()),
        ({"augmentation": "none"}, (0, 1, 2), ()),
        ({"augmentation": "nnunet", "flip_axes": (2,)}, (2,), (2,)),
    ],
)
def test_what_training_never_flips_is_not_flipped_in_testing(
    asked: dict[str, object], trained: tuple[int, ...], tested: tuple[int, ...]
) -> None:
    plan = small_plan(**{"recipe": "paper", **asked})
    assert plan.flip_axes.value == trained
    assert plan.test_time_flip_axes.value == tested
    settings = train_config(plan, "name", "id", "..")["train"]["augmentation"]
    assert settings["flip_axes"] == list(trained)
    assert inference_config(plan, "name", "id", "..")["test_time_flip_axes"] == list(tested)
    assert set(tested) <= set(settings["flip_axes"] if settings.get("enabled", True) else ())
