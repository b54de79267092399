"""Batches that processes can share, and advice for those that they cannot."""

from __future__ import annotations

import pytest

from mist_bundle.runtime.numerics.sharing import sharing_problem


@pytest.mark.parametrize(("batch_size", "processes"), [(1, 1), (4, 2), (32, 8)])
def test_batches_that_divide(batch_size: int, processes: int) -> None:
    assert sharing_problem(batch_size, processes) == ""


@pytest.mark.parametrize(("batch_size", "processes", "larger"), [(4, 3, 6), (2, 8, 8), (9, 6, 12)])
def test_advice_can_be_followed(batch_size: int, processes: int, larger: int) -> None:
    text = sharing_problem(batch_size, processes)
    assert f"batch_size of {larger}" in text
    assert sharing_problem(larger, processes) == ""
