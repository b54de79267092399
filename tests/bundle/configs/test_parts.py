"""Components that several configurations share, as dictionaries and as MONAI builds them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mist_bundle.bundle.configs import parts
from mist_bundle.catalog.choice import Choice
from mist_bundle.planning.decision import Decision
from tests.planning.plans import small_plan


@pytest.mark.parametrize("target", ["scripts.losses.dice.DiceLoss", "torch.nn.Conv3d"])
def test_only_components_of_the_scripts_require_their_path(target: str) -> None:
    component = parts.component(target, size=3)
    assert component["_target_"] == target
    assert component["size"] == 3
    assert ("_requires_" in component) == target.startswith("scripts.")


def test_arguments_win_over_those_of_the_row() -> None:
    row = Choice(target="torch.optim.SGD", kwargs={"momentum": 0.9, "nesterov": True}, about="")
    assert parts.choice(row, momentum=0.5) == {"_target_": "torch.optim.SGD", "momentum": 0.5, "nesterov": True}


def test_the_header_holds_no_absolute_path() -> None:
    header = parts.header("liver_segmentation", "abc", "../data/train")
    assert "../data/train" in header["dataset_dir"]
    assert "liver_segmentation_work" in header["work_dir"]
    assert header["bundle_id"] == "abc"


def test_networks_outside_training_have_neither_heads_nor_branches() -> None:
    plan = small_plan(network="nnunet", deep_supervision_heads=1, vae=True, patch_size=(32, 32, 32))
    training = parts.network(plan, training=True)
    assert training["_target_"] == "scripts.networks.vae.with_vae"
    assert training["network"]["_target_"] == "scripts.networks.dynunet.SupervisedDynUNet"
    inference = parts.network(plan, training=False)
    assert inference["_target_"] == "monai.networks.nets.DynUNet"
    assert inference["deep_supervision"] is False


def test_an_argument_that_monais_class_does_not_take_chooses_the_class_that_does() -> None:
    plan = small_plan(network="mednext-small", patch_size=(32, 32, 32), deep_supervision_heads=1)
    assert parts.network(plan, training=False)["_target_"] == "monai.networks.nets.MedNeXt"
    plan = replace(plan, network_arguments={**plan.network_arguments, "padded_upsampling": False})
    own = "scripts.networks.mednext.CompleteMedNeXt"
    assert parts.network(plan, training=False)["_target_"] == own
    assert parts.network(plan, training=True)["network"]["_target_"] == own, "with heads around it"


def test_heads_are_attached_to_networks_without_their_own() -> None:
    plan = small_plan(network="segresnet", deep_supervision_heads=1)
    network = parts.network(plan, training=True)
    assert network["_target_"] == "scripts.networks.heads.with_heads"
    assert network["modules"] == ["up_layers.1"]


def test_regions_are_written_in_order_and_predicted_with_a_sigmoid() -> None:
    plan = replace(small_plan(), regions=Decision(True, ""), region_labels=(1,), region_order=(0,))
    assert parts.restored_labels(plan) == {"labels": [1], "region_order": [0]}
    assert parts.ensemble(plan)["activation"] == "sigmoid"
    assert "activation" not in parts.ensemble(small_plan())


def test_predictions_record_further_settings() -> None:
    recorded = parts.predictions(settings={"ensemble": "@ensemble"}, weight_files=["@ckpt_path"])
    assert recorded["settings"]["ensemble"] == "@ensemble"
    assert recorded["settings"]["patch_size"] == "@patch_size"
    assert recorded["weight_files"] == ["@ckpt_path"]
