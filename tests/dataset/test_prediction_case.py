from __future__ import annotations

import numpy as np
import pytest

from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.prediction_case import examine
from mist_bundle.errors import InputError
from tests.dataset.samples import save_volume

IMAGE = np.random.default_rng(0).normal(100, 10, (4, 5, 6)).astype(np.float32)


def case_of(tmp_path, first, second, affine=None):
    images = {
        "t1": save_volume(tmp_path / "t1.nii.gz", first),
        "t2": save_volume(tmp_path / "t2.nii.gz", second, affine),
    }
    return Case(id="a", images=images)


def refused(case):
    with pytest.raises(InputError) as caught:
        examine(case)
    return [str(problem) for problem in caught.value.problems]


def test_a_sound_case(tmp_path):
    found = examine(case_of(tmp_path, IMAGE, 2 * IMAGE))
    assert found.oddities == ()
    assert found.digests["t1"] != found.digests["t2"]


def test_a_blank_image_is_odd_but_no_mistake(tmp_path):
    found = examine(case_of(tmp_path, IMAGE, np.zeros_like(IMAGE)))
    assert found.oddities == ("t2.nii.gz is constant (0 everywhere). Look at it.",)
    assert found.digests["t2"] == ""


def test_everything_that_is_wrong_is_named(tmp_path):
    broken = IMAGE.copy()
    broken[0, 0, 0] = np.nan
    nan, grid = refused(case_of(tmp_path, broken, IMAGE, np.diag([1, 1, 2, 1])))
    assert "t1.nii.gz holds 1 NaN" in nan
    assert "t2.nii.gz does not lie on the grid of t1.nii.gz" in grid


def test_a_truncated_file(tmp_path):
    case = case_of(tmp_path, IMAGE, IMAGE)
    case.images["t2"].write_bytes(case.images["t2"].read_bytes()[:50])
    (finding,) = refused(case)
    assert "t2.nii.gz: is cut short" in finding
