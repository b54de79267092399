"""Phantoms differ from case to case, and the same seed yields the same voxels."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import InputError

SMALL = {"num_cases": 4, "shape": (32, 32, 20)}


def test_orientations_spacings_and_shapes_differ(tmp_path):
    spec = DatasetSpec.from_json(make_phantom(tmp_path / "p", "mr2", **SMALL))
    images = [nib.load(case.images["t1"]) for case in find_cases(spec).cases]
    assert ["".join(nib.aff2axcodes(image.affine)) for image in images] == ["LPS", "RAS", "LAS", "PIR"]
    assert len({image.header.get_zooms() for image in images}) == 4
    for image in images:
        spacing = sorted(image.header.get_zooms())
        assert spacing[2] / spacing[0] == pytest.approx(2, rel=0.03)


def test_the_same_seed_gives_the_same_voxels(tmp_path):
    def voxels(name, seed):
        spec = DatasetSpec.from_json(make_phantom(tmp_path / name, "ct", seed=seed, num_cases=1, shape=(16, 16, 16)))
        return read_volume(find_cases(spec).cases[0].images["ct"]).array

    first, second, other = voxels("a", 3), voxels("b", 3), voxels("c", 4)
    np.testing.assert_array_equal(first, second)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_oblique_headers(tmp_path):
    spec = DatasetSpec.from_json(make_phantom(tmp_path / "p", "mr2", oblique=True, mixed_orientations=False, **SMALL))
    for case in find_cases(spec).cases:
        affine = read_volume(case.label).affine[:3, :3]
        direction = affine / np.linalg.norm(affine, axis=0)
        np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-5)
        assert np.abs(direction).max(axis=0).min() < 0.9999
        assert nib.aff2axcodes(read_volume(case.label).affine) == ("L", "P", "S")


@pytest.mark.parametrize("arguments", [{"kind": "pet"}, {"num_cases": 0}, {"shape": (4, 4, 4)}, {"num_test": -1}])
def test_refused_arguments(tmp_path, arguments):
    with pytest.raises(InputError, match="expected"):
        make_phantom(tmp_path / "p", **arguments)


def test_output_is_not_overwritten_unasked(tmp_path):
    make_phantom(tmp_path / "p", num_cases=1, shape=(8, 8, 8))
    with pytest.raises(InputError, match="--overwrite"):
        make_phantom(tmp_path / "p", num_cases=1, shape=(8, 8, 8))
    make_phantom(tmp_path / "p", num_cases=1, shape=(8, 8, 8), overwrite=True)
