from __future__ import annotations

from mist_bundle.catalog.precisions import PRECISIONS
from mist_bundle.planning.options import OPTIONS
from mist_bundle.planning.recipes import RECIPES
from mist_bundle.runtime.settings import SETTINGS


def test_every_precision_can_be_chosen_and_overridden() -> None:
    for name in PRECISIONS:
        assert OPTIONS["precision"].kind.problem(name) is None
        assert SETTINGS["precision"].problem(name) is None
    assert OPTIONS["precision"].kind.problem("fp8") is not None


def test_recipes_choose_a_precision_of_the_menu() -> None:
    assert {recipe.options.precision for recipe in RECIPES.values()} <= set(PRECISIONS)
