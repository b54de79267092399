from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from mist_bundle.errors import InputError
from mist_bundle.planning.finetune import (
    SourceModel,
    adapt_plan,
    check_transfer_options,
    default_recipe,
    fitted_arguments,
    patch_divisor,
    same_name,
    source_options,
)
from mist_bundle.planning.options import PlanOptions, TransferOptions
from tests.planning.plans import small_plan


def source_of(plan=None, **changes: Any) -> SourceModel:
    """A source planned by mist-bundle, or a stock bundle if `plan` is None."""
    fields: dict[str, Any] = {
        "name": "other_bundle",
        "target": "monai.networks.nets.SegResNet",
        "arguments": {"in_channels": 1, "out_channels": 2, "blocks_down": [1, 2, 2]},
        "channel_names": ("t1",),
        "class_names": ("background", "organ"),
        "plan": plan,
        **changes,
    }
    return SourceModel(**fields)


def test_arguments_for_other_channels_and_classes() -> None:
    arguments = {"in_channels": 1, "num_classes": 2, "filters": [8, 16]}
    assert fitted_arguments(arguments, 3, 5) == {"in_channels": 3, "num_classes": 5, "filters": [8, 16]}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"strides": [[1, 1, 1], [2, 2, 1], [2, 2, 2]]}, (4, 4, 2)),
        ({"strides": [1, 2, 2]}, (4, 4, 4)),
        ({"blocks_down": [1, 2, 2, 4]}, (8, 8, 8)),
        ({}, (32, 32, 32)),
    ],
)
def test_patch_divisor_of_a_stock_network(arguments: dict[str, Any], expected: tuple[int, int, int]) -> None:
    assert patch_divisor(source_of(arguments=arguments)) == expected


@pytest.mark.parametrize(("first", "second", "expected"), [("T1-Gd", "t1 gd", True), ("t1", "t2", False)])
def test_same_name(first: str, second: str, expected: bool) -> None:
    assert same_name(first, second) is expected


def test_spacing_and_patch_are_kept_unless_planned_anew() -> None:
    plan = small_plan(target_spacing=(2.0, 2.0, 2.0))
    source = source_of(spacing_mm=(2.0, 2.0, 2.0), patch_size=(40, 40, 40))
    kept = adapt_plan(plan, source, TransferOptions())
    assert kept.target_spacing_mm.value == (2.0, 2.0, 2.0)
    assert kept.target_spacing_mm.because.endswith("at this scale; the rule gives 1.0 x 1.0 x 1.0 mm.")
    assert kept.patch_size.value == (40, 40, 40)
    anew = adapt_plan(plan, source, TransferOptions(replan=True))
    assert "Planned again" in anew.patch_size.because
    assert anew.patch_size.value == tuple(math.ceil(size / 4) * 4 for size in plan.patch_size.value)


def test_a_patch_is_raised_to_what_the_network_takes() -> None:
    adapted = adapt_plan(small_plan(), source_of(patch_size=(30, 32, 33)), TransferOptions())
    assert adapted.patch_size.value == (32, 32, 36)
    assert "Raised to multiples of 4 x 4 x 4" in adapted.patch_size.because


def test_normalisation_of_the_same_modality_is_kept() -> None:
    source_plan = small_plan(["ct"], modality="ct")
    plan = small_plan(["CT", "pet"], modality="ct")
    adapted = adapt_plan(plan, source_of(source_plan, channel_names=("ct",)), TransferOptions())
    first, second = adapted.intensity_windows.value
    assert first == source_plan.intensity_windows.value[0]
    assert second == plan.intensity_windows.value[1]
    other = adapt_plan(small_plan(), source_of(source_plan), TransferOptions())
    assert other.normalization.value == "per_image"
    assert "has ct images" in other.normalization.because


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (TransferOptions(), 0),
        (TransferOptions(freeze="encoder"), 28),
        (TransferOptions(freeze="encoder", unfreeze_epoch=5), 4),
        (TransferOptions(freeze="encoder", unfreeze_epoch=99), 28),
    ],
)
def test_frozen_epochs(options: TransferOptions, expected: int) -> None:
    adapted = adapt_plan(small_plan(), source_of(), options)
    assert adapted.frozen_epochs is not None
    assert adapted.frozen_epochs.value == expected


def test_the_recipes_rate_shrinks_and_the_users_does_not() -> None:
    assert adapt_plan(small_plan(), source_of(), TransferOptions()).learning_rate.value == pytest.approx(4e-3 / 20)
    chosen = small_plan(learning_rate=0.01)
    assert adapt_plan(chosen, source_of(), TransferOptions()).learning_rate.value == 0.01


def test_the_sources_recipe_and_spacing_are_planned_with() -> None:
    source = source_of(small_plan(recipe="mist2"), spacing_mm=(2.0, 2.0, 2.0))
    options = source_options(PlanOptions(), source, TransferOptions(), frozenset())
    assert (options.recipe, options.target_spacing) == ("mist2", (2.0, 2.0, 2.0))
    chosen = source_options(PlanOptions(), source, TransferOptions(), frozenset({"recipe", "target_spacing"}))
    assert chosen == PlanOptions()
    assert default_recipe(source_of()) == "paper"


def test_options_that_cannot_be_met_are_named_together() -> None:
    options = replace(TransferOptions(unfreeze_epoch=3, layer_decay=2.0), channels="mean")
    with pytest.raises(InputError) as refused:
        check_transfer_options(options)
    assert [problem.path for problem in refused.value.problems] == [
        "--channels",
        "--layer_decay",
        "--unfreeze_epoch",
    ]
