"""Three numbers for three axes, with a type that says so. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import SupportsFloat, SupportsInt

Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]


def triple(values: Iterable[SupportsInt]) -> Triple:
    """Convert three whole numbers to a tuple of ints.

    Raises:
        ValueError: there are more or fewer.
    """
    first, second, third = values
    return (int(first), int(second), int(third))


def spacing(values: Iterable[SupportsFloat]) -> Spacing:
    """Convert three numbers to a tuple of floats.

    Raises:
        ValueError: there are more or fewer.
    """
    first, second, third = values
    return (float(first), float(second), float(third))
