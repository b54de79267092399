"""Windows cut out of images, with padding and flips."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .windows import Index

Box = tuple[slice, slice, slice]


def relative_box(box: Box, start: Index) -> Box:
    """A box in the coordinates of a window that begins at `start`."""
    x, y, z = box
    return (
        slice(x.start - start[0], x.stop - start[0]),
        slice(y.start - start[1], y.stop - start[1]),
        slice(z.start - start[2], z.stop - start[2]),
    )


def cut_patch(image: torch.Tensor, start: Index, size: Sequence[int]) -> torch.Tensor:
    """A window of an image (channels, X, Y, Z), 0 where it reaches beyond."""
    inside = []
    padding: list[int] = []
    for first, length, available in zip(start, size, image.shape[1:], strict=True):
        inside.append(slice(max(first, 0), min(first + length, available)))
        padding = [max(-first, 0), max(first + length - available, 0), *padding]  # last axis first
    patch = image[(slice(None), *inside)]
    return torch.nn.functional.pad(patch, padding) if any(padding) else patch


def flip(volume: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    """A volume (B, C, X, Y, Z) flipped along spatial axes (0, 1, 2)."""
    return torch.flip(volume, [2 + axis for axis in axes]) if axes else volume
