"""bfloat16 is used when asked for, and results come back in float32."""

from __future__ import annotations

import pytest
import torch
from monai.inferers import SimpleInferer
from torch import nn

from mist_bundle.catalog.precisions import PRECISIONS as MENU
from mist_bundle.runtime.inferers.autocast import (
    PRECISIONS,
    AutocastInferer,
    _say_once,
    autocast_dtype,
    has_bfloat16,
)


class _SeesDtype(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(1, 2, 1)
        self.seen: torch.dtype | None = None

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        output = self.layer(image)
        self.seen = output.dtype
        return output


@pytest.mark.parametrize(
    ("enabled", "dtype"),
    [
        *((True, torch.bfloat16), ("true", torch.bfloat16), ("bf16", torch.bfloat16)),
        *((False, torch.float32), ("false", torch.float32), ("fp32", torch.float32)),
    ],
)
def test_dtype_inside_and_outside(enabled: bool | str, dtype: torch.dtype) -> None:
    network = _SeesDtype()
    output = AutocastInferer(SimpleInferer(), enabled=enabled)(torch.zeros(1, 1, 2, 2, 2), network)
    assert network.seen is dtype
    assert output.dtype is torch.float32


def test_auto_follows_the_hardware() -> None:
    network = _SeesDtype()
    AutocastInferer(SimpleInferer(), enabled="auto")(torch.zeros(1, 1, 2, 2, 2), network)
    assert network.seen is (torch.bfloat16 if has_bfloat16("cpu") else torch.float32)


def test_half_precision_without_cuda_becomes_auto_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    network = _SeesDtype()
    inferer = AutocastInferer(SimpleInferer(), enabled="fp16")
    _say_once.cache_clear()
    for _ in range(3):
        inferer(torch.zeros(1, 1, 2, 2, 2), network)
    assert network.seen is (torch.bfloat16 if has_bfloat16("cpu") else torch.float32)
    assert [record.message for record in caplog.records] == [
        "Precision fp16 needs a CUDA device; on cpu 'auto' is used instead."
    ]


def test_half_precision_on_cuda() -> None:
    assert autocast_dtype("fp16", "cuda") is torch.float16


def test_precisions_are_those_of_the_menu() -> None:
    assert tuple(MENU) == PRECISIONS


def test_every_output_of_a_list_comes_back_in_float32() -> None:
    layer = nn.Conv3d(1, 2, 1)
    outputs = AutocastInferer(SimpleInferer(), enabled="bf16")(
        torch.zeros(1, 1, 2, 2, 2), lambda image: [layer(image), layer(image)]
    )
    assert [output.dtype for output in outputs] == [torch.float32] * 2


def test_unknown_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="expected auto, fp32, bf16, fp16, true or false"):
        AutocastInferer(SimpleInferer(), enabled="yes")


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [
        ((9, 0), torch.bfloat16),
        ((8, 0), torch.bfloat16),
        ((7, 5), torch.float16),
        ((7, 0), torch.float16),
        ((6, 1), None),
    ],
)
def test_auto_on_gpus_old_and_new(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype | None
) -> None:
    """H100, A100; T4 and V100 have tensor cores for half precision alone; P100 has none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert autocast_dtype("auto", "cuda:0") is dtype
    inferer = AutocastInferer(SimpleInferer(), enabled="auto")
    assert inferer.needs_scaler("cuda:0") == (dtype is torch.float16), "small gradients need a scaler"
    assert AutocastInferer(SimpleInferer(), enabled="fp16").needs_scaler("cuda:0")
    assert not AutocastInferer(SimpleInferer(), enabled="fp32").needs_scaler("cuda:0")
