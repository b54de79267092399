"""The networks against a forward pass in plain torch, which knows nnU-Net's names and axes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.errors import InputError
from mist_bundle.transfer.axes import build_network
from mist_bundle.transfer.nnunet_model import convert_weights, describe_model
from mist_bundle.transfer.nnunet_results import read_results
from tests.transfer import nnunet_made as made

ISOTROPIC = {"kernel_sizes": [[3, 3, 3]] * 3}


@pytest.mark.parametrize("architecture", [made.PLAIN, made.RESIDUAL])
@pytest.mark.parametrize("isotropic", [False, True])
def test_logits_are_those_of_nnunets_network(
    architecture: str, isotropic: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isotropic:
        monkeypatch.setattr(made, "KERNELS", ISOTROPIC["kernel_sizes"])
    results, weights = read_results(made.write_results(tmp_path / "results", architecture=architecture))
    model = describe_model(results)
    converted, _ = convert_weights(results, weights)
    arguments = {**model.network_arguments, "deep_supervision": False}
    network = build_network(arguments, NETWORKS[model.network].target).eval()
    network.load_state_dict(converted["0"])
    image = torch.randn(2, 2, 16, 16, 8)  # (x, y, z) of a file
    # transpose_forward [2, 0, 1] of arrays (z, y, x): x, z, y
    in_their_axes = image.permute(0, 1, 2, 4, 3)
    logits = made.plain_logits if architecture == made.PLAIN else made.residual_logits
    with torch.no_grad():
        expected = logits(weights["0"], in_their_axes).permute(0, 1, 2, 4, 3)
        torch.testing.assert_close(network(image), expected, rtol=1e-4, atol=1e-4)
    names = {made.RESIDUAL: "resenc-m", made.PLAIN: "unet" if isotropic else "nnunet-v2"}
    assert model.network == names[architecture]


def test_every_tensor_has_its_place_or_is_named(tmp_path: Path) -> None:
    results, weights = read_results(made.write_results(tmp_path / "results", folds=("0", "1")))
    for name in ("encoder.stages.0.0.convs.0.conv.weight", "decoder.stages.0.convs.1.norm.bias"):
        assert name in weights["0"]
    weights["0"]["encoder.gate.weight"] = torch.zeros(3)
    for name in list(weights["1"]):
        if "transpconvs.1." in name:
            del weights["1"][name]
    with pytest.raises(InputError) as refused:
        convert_weights(results, weights)
    first, second = refused.value.problems
    assert "fold_0" in first.path
    assert "without a place in PlainConvUNet: encoder.gate.weight." in first.message
    assert "fold_1" in second.path
    assert "lacks tensors" in second.message
    assert "upsamples.1" in second.message


def test_copies_that_differ_are_refused(tmp_path: Path) -> None:
    results, weights = read_results(made.write_results(tmp_path / "results"))
    name = "decoder.encoder.stages.1.0.convs.0.norm.weight"
    weights["0"][name] = weights["0"][name] + 1
    with pytest.raises(InputError, match=f"stores {name} twice, with different values"):
        convert_weights(results, weights)


def test_only_heads_and_biases_without_effect_are_left_out(tmp_path: Path) -> None:
    results, weights = read_results(made.write_results(tmp_path / "results"))
    _, left_out = convert_weights(results, weights)
    heads = [name for name in left_out if name.startswith("decoder.seg_layers.0")]
    assert len(heads) == 2
    assert all(name.endswith("conv.bias") for name in set(left_out) - set(heads))


def test_names_with_the_prefix_of_wrappers_are_understood(tmp_path: Path) -> None:
    results, weights = read_results(made.write_results(tmp_path / "results"))
    wrapped = {f"_orig_mod.{name}": value for name, value in weights["0"].items()}
    expected, _ = convert_weights(results, weights)
    converted, _ = convert_weights(results, {"0": wrapped})
    assert all(torch.equal(converted["0"][name], value) for name, value in expected["0"].items())
