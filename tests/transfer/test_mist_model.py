"""From MIST's results to a plan and weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.errors import InputError
from mist_bundle.transfer.axes import build_network
from mist_bundle.transfer.mist_model import convert_weights, describe_data, describe_model
from mist_bundle.transfer.mist_results import read_results
from mist_bundle.trust.audit.targets import is_accepted
from tests.transfer.mist_made import mist_names, reference_network, write_results


def test_logits_are_those_of_mists_network(tmp_path: Path) -> None:
    results, weights = read_results(write_results(tmp_path / "results"))
    reference = reference_network().eval()
    torch.manual_seed(0)
    reference.load_state_dict(reference_network(heads=True).state_dict(), strict=False)
    converted, left_out = convert_weights(results, weights)
    arguments = {**describe_model(results).network_arguments, "deep_supervision": False}
    network = build_network(arguments, NETWORKS["nnunet-pocket"].target).eval()
    network.load_state_dict(converted["0"])
    image = torch.randn(1, 2, 16, 16, 8)
    with torch.no_grad():
        torch.testing.assert_close(network(image), reference(image))
    assert sorted(left_out) == [f"unet.deep_supervision_heads.0.conv.conv.{leaf}" for leaf in ("bias", "weight")]


def test_tensors_without_a_place_are_named(tmp_path: Path) -> None:
    results, _ = read_results(write_results(tmp_path / "results"))
    weights = mist_names(reference_network())
    weights["unet.gate.weight"] = torch.zeros(2)
    del weights["unet.output_block.conv.conv.bias"]
    with pytest.raises(InputError) as refused:
        convert_weights(results, {"0": weights})
    text = str(refused.value)
    assert "holds tensors without a place in the network: gate.weight." in text
    assert "lacks tensors of the network: output_block.conv.conv.bias." in text


def test_the_plan_follows_config_json(tmp_path: Path) -> None:
    folder = write_results(
        tmp_path / "results",
        preprocessing={"crop_to_foreground": True},
        inference={"tta": {"enabled": False}, "inferer": {"params": {"patch_overlap": 0.25}}},
    )
    results, _ = read_results(folder)
    model = describe_model(results)
    assert model.patch_size == (16, 16, 8)
    assert model.spacing_mm == (1.0, 1.0, 3.0)
    assert model.median_shape == (20, 22, 9)
    assert model.overlap == 0.25
    assert model.test_time_flip_axes == ()
    assert model.preprocessing == {"rules": "mist"}
    assert model.inference == {"tiling": "monai", "average": "joined", "restore": "probabilities"}
    assert model.fields["crop_to_foreground"].value
    assert model.fields["normalize_nonzero"].value
    assert model.num_folds == 5
    spec = describe_data(results, tmp_path / "cases")
    assert spec.labels == (0, 1, 4)
    assert spec.final_classes == {"whole": (1, 4), "core": (4,)}
    assert spec.label_names[4] == "core"


@pytest.mark.parametrize(
    ("architecture", "argument", "target"),
    [
        ("fmgnet", {"summits_as_skips": True}, "scripts.networks.multigrid.MultigridNet"),
        ("wnet", {"summits_as_skips": True}, "scripts.networks.multigrid.MultigridNet"),
        ("mednext-base", {"padded_upsampling": False}, "scripts.networks.mednext.CompleteMedNeXt"),
        ("swinunetr-base", {}, "monai.networks.nets.SwinUNETR"),
    ],
)
def test_networks_compute_as_mists(architecture: str, argument: dict[str, bool], target: str, tmp_path: Path) -> None:
    spatial = {"patch_size": [32, 32, 64], "target_spacing": [1.0, 1.0, 1.0]}
    folder = write_results(tmp_path / "results", model={"architecture": architecture}, spatial_config=spatial)
    model = describe_model(read_results(folder)[0])
    assert argument.items() <= model.network_arguments.items()
    assert NETWORKS[architecture].target_for(model.network_arguments) == target
    assert is_accepted(target), "by the audit"
    assert model.network == architecture
