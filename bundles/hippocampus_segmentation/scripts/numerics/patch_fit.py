"""Which patch sizes a network can take: multiples of its strides' product, with more than one voxel at the bottom."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

Triple = tuple[int, int, int]


def nearest_patches(patch_size: Sequence[int], divisor: Sequence[int]) -> tuple[Triple, Triple]:
    """The largest size that fits below and the smallest that fits above, per axis; equal where the size fits.

    Args:
        patch_size: X, Y, Z, at least 1 each.
        divisor: what each axis must be a multiple of.
    """
    below = with_deep_bottom(
        [max(1, size // part) * part for size, part in zip(patch_size, divisor, strict=True)], divisor
    )
    above = with_deep_bottom(
        [ceil(size / part) * part for size, part in zip(patch_size, divisor, strict=True)], divisor
    )
    return below, above


def with_deep_bottom(patch_size: Sequence[int], divisor: Sequence[int]) -> Triple:
    """The same size if more than one voxel is left of it at the coarsest level, else with its first axis doubled.

    Instance and group normalisation of a single voxel give zero, or an error.
    """
    first, second, third = (int(size) for size in patch_size)
    if prod(size // part for size, part in zip(patch_size, divisor, strict=True)) > 1:
        return first, second, third
    return 2 * first, second, third


def patch_problem(patch_size: Sequence[int], divisor: Sequence[int]) -> str:
    """What is wrong with a patch size, naming the nearest that fit; empty if nothing is."""
    if len(patch_size) != 3 or any(int(size) != size or size < 1 for size in patch_size):
        return f"is {list(patch_size)}; expected three whole numbers above 0."
    below, above = nearest_patches(patch_size, divisor)
    if tuple(patch_size) in (below, above):
        return ""
    nearest = _text(above) if below == above else f"{_text(below)} or {_text(above)}"
    return f"is {_text(patch_size)}, but this network takes multiples of {_text(divisor)}. The nearest: {nearest}."


def _text(values: Sequence[int]) -> str:
    return ",".join(str(int(value)) for value in values)
