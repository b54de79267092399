"""Which patch sizes a network can take: multiples of its strides' product, with at least two voxels at the bottom."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from .triples import Triple, triple


def nearest_patches(patch_size: Sequence[int], divisor: Sequence[int]) -> tuple[Triple, Triple]:
    """The largest size that fits below and the smallest that fits above, per axis; equal where the size fits.

    Args:
        patch_size: X, Y, Z, at least 1 each.
        divisor: what each axis must be a multiple of.
    """
    below, above = [], []
    for size, step in zip(patch_size, divisor, strict=True):
        below.append(max(1, size // step) * step)
        above.append(-(-size // step) * step)
    return with_deep_bottom(below, divisor), with_deep_bottom(above, divisor)


def with_deep_bottom(patch_size: Sequence[int], divisor: Sequence[int]) -> Triple:
    """The same size if at least two voxels are left at the coarsest level, else with its first axis doubled.

    Instance and group normalisation of a single voxel give zero, or an error.
    """
    x, y, z = triple(patch_size)
    bottom = prod((x // divisor[0], y // divisor[1], z // divisor[2]))
    return (x, y, z) if bottom > 1 else (2 * x, y, z)


def patch_problem(patch_size: Sequence[int], divisor: Sequence[int]) -> str:
    """What is wrong with a patch size, naming the nearest that fit; empty if nothing is."""
    whole = [size for size in patch_size if int(size) == size and size >= 1]
    if len(patch_size) != 3 or len(whole) != 3:
        return f"is {list(patch_size)}; expected three whole numbers above 0."
    below, above = nearest_patches(patch_size, divisor)
    if tuple(patch_size) in (below, above):
        return ""
    nearest = _text(above) if below == above else f"{_text(below)} or {_text(above)}"
    return f"is {_text(patch_size)}, but this network takes multiples of {_text(divisor)}. The nearest: {nearest}."


def _text(values: Sequence[int]) -> str:
    return "{},{},{}".format(*triple(values))
