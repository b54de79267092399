"""OpenVINO against torch: the same logits and classes from the same weights, or a clear word."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from torch import nn

from mist_bundle.runtime.inferers.autocast import AutocastInferer, has_bfloat16
from mist_bundle.runtime.inferers.engine import Engine
from mist_bundle.runtime.inferers.ensemble import EnsembleInferer
from mist_bundle.runtime.networks.subpixel import SubpixelUNet

INSTALLED = find_spec("openvino") is not None
needs_openvino = pytest.mark.skipif(not INSTALLED, reason="openvino is not installed (pip install openvino)")
WINDOW = {"roi_size": (16, 16, 16), "sw_batch_size": 2, "overlap": 0.25, "mode": "gaussian"}


def _network(seed: int) -> SubpixelUNet:
    torch.manual_seed(seed)
    return SubpixelUNet(
        1,
        3,
        (2, 2, 2),
        equal_start=False,
        spatial_dims=3,
        kernel_size=[[3] * 3] * 3,
        strides=[[1] * 3, [2] * 3, [2] * 3],
        upsample_kernel_size=[[2] * 3] * 2,
        filters=(8, 16, 16),
    ).eval()


class ByNumpy(nn.Module):
    """Computes outside of torch, where a converter sees nothing but the numbers of its example."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(1, 3, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of the image's absolute values."""
        return self.layer(torch.from_numpy(abs(image.numpy())))


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="engine is 'tensorrt'; expected torch, auto, openvino"):
        Engine("tensorrt")


@pytest.mark.skipif(INSTALLED, reason="openvino is installed")
def test_without_openvino_auto_is_torch_and_openvino_says_what_to_install(caplog: pytest.LogCaptureFixture) -> None:
    network, patch = _network(0), torch.randn(1, 1, 16, 16, 16)
    with caplog.at_level(logging.INFO):
        assert Engine("auto").member(network, patch) is network
    assert "openvino is not installed" in caplog.text
    with pytest.raises(ModuleNotFoundError, match="pip install openvino"):
        Engine("openvino")


@needs_openvino
@pytest.mark.parametrize("flip_axes", [(), (0, 2)])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_folds_and_flips_give_the_probabilities_of_torch(
    tmp_path: Path, flip_axes: tuple[int, ...], precision: str
) -> None:
    if precision == "bf16" and not has_bfloat16("cpu"):
        pytest.skip("this processor has no instructions for bfloat16, and OpenVINO computes in float32 then")
    paths = []
    for seed in (1, 2):
        paths.append(str(tmp_path / f"{seed}.pt"))
        torch.save(_network(seed).state_dict(), paths[-1])
    image = torch.randn(1, 1, 40, 24, 16)
    results: dict[str, Any] = {}
    for engine in ("torch", "openvino"):
        ensemble = EnsembleInferer(SlidingWindowInferer(**WINDOW), flip_axes, paths, engine=engine)
        inferer = AutocastInferer(ensemble, "fp32" if engine == "torch" else precision)
        with torch.no_grad():
            results[engine] = inferer(image, _network(0))
    tolerance = 1e-4 if precision == "fp32" else 0.03
    torch.testing.assert_close(results["openvino"], results["torch"], rtol=0, atol=tolerance)


@needs_openvino
def test_weights_that_are_loaded_anew_are_converted_anew() -> None:
    network, patch = _network(0), torch.randn(2, 1, 16, 16, 16)
    engine = Engine("openvino")
    with torch.no_grad():
        engine.member(network, patch)(patch)
        network.load_state_dict(_network(5).state_dict())
        torch.testing.assert_close(engine.member(network, patch)(patch), network(patch), rtol=1e-3, atol=1e-4)


@needs_openvino
def test_a_network_that_cannot_be_converted_is_named_or_left_to_torch(caplog: pytest.LogCaptureFixture) -> None:
    network, patch = ByNumpy().eval(), torch.randn(1, 1, 4, 4, 4)
    with pytest.raises(ValueError, match="--engine torch"), torch.no_grad():
        Engine("openvino").member(network, patch)
    with torch.no_grad():
        assert Engine("auto").member(network, patch) is network
    assert "torch is used instead" in caplog.text
