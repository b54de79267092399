"""Three numbers for three axes: converted, and refused where there are more or fewer."""

from __future__ import annotations

import numpy as np
import pytest

from mist_bundle.runtime.numerics.triples import spacing, triple


def test_three_whole_numbers_become_plain_ints() -> None:
    result = triple(np.array([96, 96, 32], np.int16))
    assert result == (96, 96, 32)
    assert [type(value) for value in result] == [int, int, int]


def test_three_numbers_become_plain_floats() -> None:
    result = spacing(np.array([0.5, 0.5, 3], np.float32))
    assert result == (0.5, 0.5, 3.0)
    assert [type(value) for value in result] == [float, float, float]


@pytest.mark.parametrize("values", [[], [1, 2], [1, 2, 3, 4]])
def test_other_lengths_are_refused(values: list[int]) -> None:
    with pytest.raises(ValueError, match="values to unpack"):
        triple(values)
    with pytest.raises(ValueError, match="values to unpack"):
        spacing(values)
