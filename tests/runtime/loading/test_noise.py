"""Noise for patches is normal, seeded and independent from place to place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from mist_bundle.runtime.loading.noise import OFFSETS, noise_piece, noise_table


def test_every_offset_gives_a_whole_piece_of_normal_numbers() -> None:
    table = noise_table((3, 4), 2, (8, 7, 6))
    for offset in (0, OFFSETS // 3, OFFSETS - 1):
        piece = noise_piece(table, offset, 2, (8, 7, 6))
        assert piece.shape == (2, 8, 7, 6)
        assert np.shares_memory(piece, table)
        assert kstest(piece.ravel(), "norm").pvalue > 1e-5


def test_the_seed_decides() -> None:
    np.testing.assert_array_equal(noise_table((1, 2), 1, (4, 4, 4)), noise_table((1, 2), 1, (4, 4, 4)))
    assert not np.array_equal(noise_table((1, 2), 1, (4, 4, 4)), noise_table((2, 2), 1, (4, 4, 4)))


@pytest.mark.parametrize("lag", [1, 16, 17 * 16])
def test_neighbours_are_independent(lag: int) -> None:
    piece = noise_piece(noise_table((5, 6), 1, (16, 16, 16)), 77, 1, (16, 16, 16)).ravel()
    assert abs(np.corrcoef(piece[:-lag], piece[lag:])[0, 1]) < 5 / np.sqrt(len(piece))
