"""bfloat16 is used when asked for, and results come back in float32."""

from __future__ import annotations

import pytest
import torch
from monai.inferers import SimpleInferer
from torch import nn

from mist_bundle.runtime.inferers.autocast import AutocastInferer, has_bfloat16


class _SeesDtype(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(1, 2, 1)
        self.seen: torch.dtype | None = None

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        output = self.layer(image)
        self.seen = output.dtype
        return output


@pytest.mark.parametrize(("enabled", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_dtype_inside_and_outside(enabled: bool, dtype: torch.dtype) -> None:
    network = _SeesDtype()
    output = AutocastInferer(SimpleInferer(), enabled=enabled)(torch.zeros(1, 1, 2, 2, 2), network)
    assert network.seen is dtype
    assert output.dtype is torch.float32


def test_auto_follows_the_hardware() -> None:
    network = _SeesDtype()
    AutocastInferer(SimpleInferer(), enabled="auto")(torch.zeros(1, 1, 2, 2, 2), network)
    assert network.seen is (torch.bfloat16 if has_bfloat16("cpu") else torch.float32)


def test_unknown_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="expected true, false or 'auto'"):
        AutocastInferer(SimpleInferer(), enabled="yes")
