"""Windows cut out of images, against plain slicing."""

from __future__ import annotations

import pytest
import torch

from mist_bundle.runtime.inferers.patches import cut_patch, flip, relative_box


@pytest.mark.parametrize("start", [(0, 0, 0), (2, 1, 0), (-2, 3, 4), (5, -1, -3)])
def test_a_window_is_zero_beyond_the_image(start: tuple[int, int, int]) -> None:
    image = torch.arange(1.0, 1 + 2 * 7 * 6 * 5).reshape(2, 7, 6, 5)
    padded = torch.nn.functional.pad(image, [9] * 6)
    x, y, z = (9 + first for first in start)
    expected = padded[:, x : x + 4, y : y + 5, z : z + 6]
    assert torch.equal(cut_patch(image, start, (4, 5, 6)), expected)


def test_flips_run_along_spatial_axes() -> None:
    volume = torch.arange(24.0).reshape(1, 1, 2, 3, 4)
    assert flip(volume, ()) is volume
    assert torch.equal(flip(volume, (2,)), volume[..., [3, 2, 1, 0]])
    assert torch.equal(flip(flip(volume, (0, 1)), (0, 1)), volume)


def test_a_box_is_seen_from_its_window() -> None:
    box = (slice(4, 8), slice(3, 5), slice(10, 20))
    assert relative_box(box, (4, 0, 9)) == (slice(0, 4), slice(3, 5), slice(1, 11))
