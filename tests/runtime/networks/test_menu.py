"""Every network of the catalogue: parameters, forward and backward, heads, evaluation, export."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import nn

from mist_bundle.bundle.configs.parts import TRAINING_CLASSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.planning.network_size import NetworkSize, SizeRequest
from mist_bundle.planning.networks import fit_network_patch, size_network
from mist_bundle.runtime.networks.heads import with_heads
from mist_bundle.runtime.networks.vae import with_vae
from tests.runtime.networks.reference import PARAMETERS_OF_MIST

Triple = tuple[int, int, int]
FULL = (32, 64, 128, 256, 320)
LARGE = {"swinunetr-base", "swinunetr-large", "mednext-medium", "mednext-large"}


def sized(name: str, patch: Triple, *, heads: int, filters: tuple[int, ...] = (4, 6), **changed: Any) -> NetworkSize:
    row = NETWORKS[name]
    options = {"residual": True, "kernel_size": 3, "spacing_mm": (1, 1, 1), "in_channels": 1, "out_channels": 2}
    options |= {key: value for key, value in row.defaults.items() if key == "residual"} | changed
    return size_network(row, SizeRequest(patch_size=patch, heads=heads, filters=filters, **options))


def build(name: str, size: NetworkSize, *, heads: int, out_channels: int = 2) -> nn.Module:
    target = NETWORKS[name].target
    if heads and not size.head_modules:
        target = TRAINING_CLASSES.get(target, target)
    module, _, kind = target.replace("scripts.", "mist_bundle.runtime.").rpartition(".")
    net: nn.Module = getattr(importlib.import_module(module), kind)(**size.arguments)
    if heads and size.head_modules:
        net = with_heads(net, size.head_modules[:heads], size.head_channels[:heads], out_channels)
    return net


def small_patch(name: str) -> Triple:
    return fit_network_patch(NETWORKS[name], (16, 16, 16), (1, 1, 1), None)[0]


def shrunk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The large rows differ from the small ones in numbers alone; here those numbers are small."""
    if name in LARGE:
        row = NETWORKS[name]
        small = {"feature_size": 12} if name.startswith("swin") else {"init_filters": 4}
        monkeypatch.setitem(NETWORKS, name, type(row)(**{**_fields(row), "kwargs": {**row.kwargs, **small}}))


def _fields(row: Any) -> dict[str, Any]:
    return {field: getattr(row, field) for field in row.__dataclass_fields__}


def _count(name: str) -> int:
    heads = NETWORKS[name].defaults.get("deep_supervision_heads", 2)
    size = sized(name, (128, 128, 128), heads=heads, filters=FULL)
    # without storage where the network allows it: only the shapes are of interest
    with torch.device("cpu" if name.startswith("swin") else "meta"):
        return sum(parameter.numel() for parameter in build(name, size, heads=heads).parameters())


@pytest.mark.parametrize("name", sorted(set(PARAMETERS_OF_MIST) - {"swinunetr-base", "swinunetr-large"}))
def test_parameter_counts_are_those_of_mist_medical_2_3_0(name: str) -> None:
    assert _count(name) == PARAMETERS_OF_MIST[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["swinunetr-base", "swinunetr-large"])
def test_parameter_counts_of_large_transformers(name: str) -> None:
    assert _count(name) == PARAMETERS_OF_MIST[name]


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_forward_backward_heads_and_evaluation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    shrunk(name, monkeypatch)
    patch = small_patch(name)
    most = sized(name, patch, heads=9).max_heads
    size = sized(name, patch, heads=most, in_channels=2, out_channels=3)
    net = build(name, size, heads=most, out_channels=3)
    image = torch.randn(1, 2, *patch)
    output = net(image)
    heads = list(output.unbind(1)) if isinstance(output, torch.Tensor) else output
    assert len(heads) == 1 + most
    assert tuple(heads[0].shape) == (1, 3, *patch)
    for head in heads[1:]:  # of the same size, or of their own, which the loss enlarges
        assert head.shape[:2] == (1, 3)
        assert all(size % own == 0 for size, own in zip(patch, head.shape[2:], strict=True))
    sum(head.square().mean() for head in heads).backward()
    gradients = [parameter.grad for parameter in net.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
    net.eval()
    with torch.no_grad():
        evaluated = net(image)
    assert isinstance(evaluated, torch.Tensor)
    assert evaluated.shape == (1, 3, *patch)


@pytest.mark.parametrize("name", sorted(name for name, row in NETWORKS.items() if "vae" in row.takes))
def test_vae_branch_fits_every_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shrunk(name, monkeypatch)
    patch = small_patch(name)
    size = sized(name, patch, heads=0)
    strides = [list(stride) for stride in size.strides]
    net = with_vae(build(name, size, heads=0), size.bottleneck, 1, patch, strides, size.widths, latent_size=4)
    output = net(torch.randn(1, 1, *patch))
    assert output["heads"].shape == (1, 2, *patch)
    output["penalty"].backward()
    assert torch.isfinite(output["penalty"])


@pytest.mark.parametrize("name", ["nnunet", "unet-pocket", "attention-unet", "fmgnet", "wnet"])
@pytest.mark.parametrize("patch", [(32, 32, 4), (8, 8, 8), (5, 7, 9)])
def test_thin_and_odd_patches(name: str, patch: Triple) -> None:
    spacing = (1, 1, 5 if patch[2] == 4 else 1)
    patch = fit_network_patch(NETWORKS[name], patch, spacing, None)[0]
    size = sized(name, patch, heads=1, spacing_mm=spacing)
    net = build(name, size, heads=1).eval()
    assert net(torch.randn(1, 1, *patch)).shape == (1, 2, *patch)


@pytest.mark.parametrize("name", ["nnunet", "fmgnet", "mednext-small"])
def test_plain_and_residual_blocks_differ(name: str) -> None:
    patch = small_patch(name)
    plain, residual = (
        build(name, sized(name, patch, heads=0, residual=residual), heads=0) for residual in (False, True)
    )
    counts = [sum(parameter.numel() for parameter in net.parameters()) for net in (plain, residual)]
    assert counts[0] < counts[1]


def test_kernel_size_of_mednext() -> None:
    net = build("mednext-small", sized("mednext-small", (32, 16, 16), heads=0, kernel_size=5), heads=0)
    assert net.enc_stages[0][0].conv1.kernel_size == (5, 5, 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_export_gives_the_same_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    shrunk(name, monkeypatch)
    patch = small_patch(name)
    net = build(name, sized(name, patch, heads=0), heads=0).eval()
    image = torch.randn(1, 1, *patch)
    exported = torch.export.export(net, (image,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(image), net(image), rtol=1e-4, atol=1e-5)
