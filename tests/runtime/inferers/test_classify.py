"""Classes that are found cell by cell are those of MONAI's sliding window over the whole volume."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mist_bundle.runtime.inferers.classify import ClassifyInferer
from mist_bundle.runtime.inferers.ensemble import EnsembleInferer

WINDOW: dict[str, Any] = {"roi_size": (8, 10, 12), "sw_batch_size": 2, "overlap": 0.5, "mode": "gaussian"}


def _network(channels: int) -> nn.Module:
    torch.manual_seed(1)
    return nn.Conv3d(1, channels, 3, padding=1)


@pytest.mark.parametrize("shape", [(30, 21, 17), (8, 10, 12), (5, 30, 6)])
@pytest.mark.parametrize("memory", [0.0, 1.0])
def test_classes_are_those_of_the_whole_volume(shape: tuple[int, int, int], memory: float) -> None:
    network, images = _network(5), torch.randn(2, 1, *shape)
    window = SlidingWindowInferer(**WINDOW)
    with torch.no_grad():
        expected = window(images, network).argmax(1, keepdim=True)
    result = ClassifyInferer(EnsembleInferer(window, cells_gb=memory))(images, network)
    assert result.dtype is torch.int16
    torch.testing.assert_close(result.long(), expected)


def test_regions() -> None:
    network, images = _network(3), torch.randn(1, 1, 30, 21, 17)
    window = SlidingWindowInferer(**WINDOW)
    with torch.no_grad():
        expected = torch.sigmoid(window(images, network)) >= 0.5
    result = ClassifyInferer(EnsembleInferer(window, activation="sigmoid"))(images, network)
    torch.testing.assert_close(result, expected)


class _LargestTensor(TorchDispatchMode):
    """Bytes of all tensors that were alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(value, torch.Tensor) and value.untyped_storage()._cdata not in self.alive:
                storage = value.untyped_storage()
                self.alive[storage._cdata] = storage.nbytes()
                weakref.finalize(storage, self.alive.pop, storage._cdata, None)
        self.peak = max(self.peak, sum(self.alive.values()))
        return result


def test_memory_does_not_grow_with_the_volume_times_the_classes() -> None:
    window = SlidingWindowInferer(roi_size=(8, 8, 8), sw_batch_size=1, overlap=0.25)
    peaks = []
    for length in (32, 256):
        images = torch.zeros(1, 1, 8, 8, length)
        memory = _LargestTensor()
        with memory, torch.no_grad():
            ClassifyInferer(EnsembleInferer(window))(images, nn.Conv3d(1, 60, 1))
        peaks.append(memory.peak - images.numel() * 2)  # the indices themselves
    assert peaks[1] < 1.2 * peaks[0]
