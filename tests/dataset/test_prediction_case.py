from __future__ import annotations

import numpy as np

from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.prediction_case import check_prediction_case
from tests.dataset.samples import save_volume


def case_of(tmp_path, first, second, affine=None):
    images = {
        "t1": save_volume(tmp_path / "t1.nii.gz", first),
        "t2": save_volume(tmp_path / "t2.nii.gz", second, affine),
    }
    return Case(id="a", images=images)


def test_a_sound_case(tmp_path):
    image = np.ones((4, 5, 6), np.float32)
    assert check_prediction_case(case_of(tmp_path, image, image)) == []


def test_everything_that_is_wrong_is_named(tmp_path):
    image = np.ones((4, 5, 6), np.float32)
    broken = image.copy()
    broken[0, 0, 0] = np.nan
    nan, grid = check_prediction_case(case_of(tmp_path, broken, image, np.diag([1, 1, 2, 1])))
    assert "t1.nii.gz holds 1 NaN" in nan
    assert "t2.nii.gz does not lie on the grid of t1.nii.gz" in grid


def test_a_truncated_file(tmp_path):
    image = np.ones((4, 5, 6), np.float32)
    case = case_of(tmp_path, image, image)
    case.images["t2"].write_bytes(case.images["t2"].read_bytes()[:50])
    (finding,) = check_prediction_case(case)
    assert "t2.nii.gz: is cut short" in finding
