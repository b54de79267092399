"""Scores are kept for maps only where maps are to be written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mist_bundle.runtime.predictions.maps import ScoreMaps

GRIDS = ((2, 2, 2), np.eye(4), np.eye(4), (2, 2, 2), None)


@pytest.mark.parametrize(
    ("probabilities", "uncertainty", "kept"),
    [(True, False, [0, 1, 2]), (False, "yes", [3, 4]), (True, True, [0, 1, 2, 3, 4])],
)
def test_requested_maps_are_kept(tmp_path: Path, probabilities: bool, uncertainty: bool, kept: list[int]) -> None:
    maps = ScoreMaps(tmp_path, probabilities, uncertainty)
    assert maps.begin(*GRIDS) is not None
    assert list(range(5))[maps.kept(3)] == kept


def test_nothing_is_kept_without_a_request(tmp_path: Path) -> None:
    maps = ScoreMaps(tmp_path / "out", probabilities=False)
    assert maps.begin(*GRIDS) is None
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="right after a case was predicted"):
        maps.take()


def test_the_scores_of_a_case_that_failed_are_not_those_of_the_next(tmp_path: Path) -> None:
    maps = ScoreMaps(tmp_path, probabilities=True)
    failed = maps.begin(*GRIDS)
    following = maps.begin(*GRIDS)
    assert maps.take() is following is not failed
