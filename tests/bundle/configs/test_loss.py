from __future__ import annotations

from dataclasses import replace

import pytest

from mist_bundle.bundle.configs.loss import batch_with_maps, loss_config, weighting_handlers
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.planning.decision import Decision
from tests.planning.plans import small_plan


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_stands_within_deep_supervision(name: str) -> None:
    config = loss_config(small_plan(loss=name))
    assert config["loss"]["_target_"] == "scripts.losses.deep_supervision.DeepSupervisionLoss"
    is_composite = bool(LOSSES[name].base)
    assert ("composite_weighting" in config) == is_composite
    assert bool(weighting_handlers(small_plan(loss=name))) == is_composite
    if is_composite:
        assert config["loss"]["loss"]["weighting"] == "@composite_weighting"


def test_weights_of_the_heads() -> None:
    plan = small_plan(deep_supervision_weights=(1.0,))
    assert loss_config(plan)["loss"]["weights"] == [1.0]
    assert "weights" not in loss_config(small_plan())["loss"]


def test_the_penalty_of_the_vae_branch_is_added_outside() -> None:
    loss = loss_config(small_plan(network="nnunet", vae=True, patch_size=(32, 32, 32)))["loss"]
    assert loss["_target_"] == "scripts.losses.regularized.RegularizedLoss"


def test_class_weights_ignored_voxels_and_the_users_arguments_reach_the_loss() -> None:
    plan = small_plan(loss="dice_focal", class_weights=(1.0, 3.0), loss_arguments={"gamma": 3.0})
    term = loss_config(replace(plan, ignore_label=5))["loss"]["loss"]
    assert term["class_weights"] == [1.0, 3.0]
    assert term["ignore_index"] == 2
    assert term["gamma"] == 3.0
    assert "regions" not in term


def test_regions_reach_the_loss() -> None:
    plan = replace(small_plan(), labels=(0, 1), final_classes={"organ": (1,)}, regions=Decision(True, ""))
    assert loss_config(plan)["loss"]["loss"]["regions"] == [[1]]


def test_distance_maps_travel_in_the_batch() -> None:
    assert batch_with_maps(small_plan()) == {}
    assert "prepare_batch" in batch_with_maps(small_plan(loss="boundary"))
