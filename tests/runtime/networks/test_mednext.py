"""MedNeXt with up-sampling that computes every voxel."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.networks.nets import MedNeXt
from torch.nn.functional import conv_transpose3d

from mist_bundle.runtime.networks.mednext import CompleteMedNeXt

SMALL: dict[str, Any] = {
    "init_filters": 4,
    "in_channels": 2,
    "out_channels": 3,
    "kernel_size": 3,
    "use_residual_connection": True,
    "blocks_down": (1, 1),
    "blocks_up": (1, 1),
    "blocks_bottleneck": 1,
}


def _pair(**own: Any) -> tuple[MedNeXt, CompleteMedNeXt]:
    torch.manual_seed(0)
    theirs, ours = MedNeXt(**SMALL).eval(), CompleteMedNeXt(**SMALL, **own).eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def test_by_default_it_is_monais() -> None:
    theirs, ours = _pair()
    image = torch.randn(1, 2, 16, 8, 8)
    torch.testing.assert_close(ours(image), theirs(image), rtol=0, atol=0)


@pytest.mark.parametrize("residual", [True, False])
def test_all_voxels_are_computed_where_they_lie(residual: bool) -> None:
    torch.manual_seed(1)
    network = CompleteMedNeXt(**{**SMALL, "use_residual_connection": residual}, padded_upsampling=False).eval()
    block = network.up_blocks[0]
    features = torch.randn(1, 16, 2, 3, 4)
    with torch.no_grad():
        output = block(features)
        wide = conv_transpose3d(features, block.conv1.weight, block.conv1.bias, stride=2, groups=16)  # 2 n + 1 voxels
        expected = block.conv3(block.act(block.conv2(block.norm(wide[..., 1:, 1:, 1:]))))
        if residual:
            weight = block.res_conv.weight[..., 0, 0, 0]
            expected[..., ::2, ::2, ::2] += torch.einsum("bixyz,io->boxyz", features, weight)  # where they lie
            expected += block.res_conv.bias[None, :, None, None, None]
    torch.testing.assert_close(output, expected)


def test_the_weights_have_monais_names_and_another_result() -> None:
    theirs, ours = _pair(padded_upsampling=False)
    image = torch.randn(1, 2, 8, 8, 8)
    assert not torch.allclose(ours(image), theirs(image))
    assert ours.state_dict().keys() == theirs.state_dict().keys()


def test_what_it_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a MedNeXt without it"):
        CompleteMedNeXt(**SMALL, padded_upsampling=False, global_resp_norm=True)
