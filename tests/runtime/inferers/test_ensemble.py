"""The ensemble against averages computed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from torch import nn

from mist_bundle.runtime.inferers.ensemble import EnsembleInferer, flip_combinations

WINDOW = {"roi_size": (8, 8, 8), "sw_batch_size": 2, "overlap": 0.5, "mode": "gaussian"}


def _network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Conv3d(1, 3, 3, padding=1)


def test_flip_combinations_are_all_subsets() -> None:
    assert flip_combinations([]) == [()]
    assert sorted(flip_combinations([0, 2])) == [(), (0,), (0, 2), (2,)]
    assert len(flip_combinations([0, 1, 2])) == 8


def test_without_flips_it_is_the_softmax_of_the_window() -> None:
    network, image = _network(0), torch.randn(1, 1, 12, 10, 8)
    window = SlidingWindowInferer(**WINDOW)
    with torch.no_grad():
        torch.testing.assert_close(EnsembleInferer(window)(image, network), torch.softmax(window(image, network), 1))


def test_flips_average_the_unflipped_predictions() -> None:
    network, image = _network(0), torch.randn(1, 1, 12, 10, 8)
    window = SlidingWindowInferer(**WINDOW)
    with torch.no_grad():
        mean = torch.zeros(1, 3, 12, 10, 8)
        for dims in ([], [2], [4], [2, 4]):
            flipped = torch.flip(image, dims) if dims else image
            one = torch.softmax(window(flipped, network), 1)
            mean += (torch.flip(one, dims) if dims else one) / 4
        torch.testing.assert_close(EnsembleInferer(window, flip_axes=[0, 2])(image, network), mean)


def test_checkpoints_are_averaged(tmp_path: Path) -> None:
    image, paths, mean = torch.randn(1, 1, 8, 8, 8), [], torch.zeros(1, 3, 8, 8, 8)
    window = SlidingWindowInferer(**WINDOW)
    with torch.no_grad():
        for seed in (1, 2, 3):
            torch.save(_network(seed).state_dict(), tmp_path / f"fold_{seed}.pt")
            paths.append(str(tmp_path / f"fold_{seed}.pt"))
            mean += torch.softmax(window(image, _network(seed)), 1) / 3
        result = EnsembleInferer(window, checkpoints=paths)(image, _network(9))
    torch.testing.assert_close(result, mean)
    torch.testing.assert_close(result.sum(1), torch.ones(1, 8, 8, 8))


class _WithoutRoom(SlidingWindowInferer):
    """Runs out of memory unless it stitches on the host, as a large volume on a small GPU does."""

    def __call__(self, inputs: torch.Tensor, network: nn.Module, *args: object, **kwargs: object) -> torch.Tensor:
        if self.device is None:
            raise torch.OutOfMemoryError("no room")
        return super().__call__(inputs, network, *args, **kwargs)


def test_stitching_moves_to_host_memory(caplog: pytest.LogCaptureFixture) -> None:
    network, image = _network(0), torch.randn(1, 1, 8, 8, 8)
    with torch.no_grad():
        expected = torch.softmax(SlidingWindowInferer(**WINDOW)(image, network), 1)
        torch.testing.assert_close(EnsembleInferer(_WithoutRoom(**WINDOW))(image, network), expected)
    assert "host memory" in caplog.text
