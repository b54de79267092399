"""A warm-up fits its run."""

from __future__ import annotations

import pytest

from mist_bundle.runtime.numerics.warmup import fitting_warmup


@pytest.mark.parametrize(
    ("chosen", "total", "expected"), [(0, 100, 0), (99, 100, 99), (100, 100, 10), (1000, 100, 10), (5, 4, 0), (0, 0, 0)]
)
def test_a_warmup_is_shorter_than_its_run(chosen: int, total: int, expected: int) -> None:
    assert fitting_warmup(chosen, total) == expected
