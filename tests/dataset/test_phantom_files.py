"""The same phantom in every kind of file."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.analysis.case_stats import measure_case
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import read_volume


def test_mixed_headers_say_the_same_in_other_ways(tmp_path):
    plain = make_phantom(tmp_path / "plain", num_cases=7, shape=(16, 14, 12), seed=4, mixed_headers=False)
    mixed = make_phantom(tmp_path / "mixed", num_cases=7, shape=(16, 14, 12), seed=4)
    kinds = set()
    for path in sorted(plain.parent.glob("train/*/*.nii.gz")):
        other = mixed.parent / path.relative_to(plain.parent)
        header = nib.load(other).header
        kinds.add((int(header["qform_code"]), int(header["sform_code"]), int(header["xyzt_units"]), header["dim"][0]))
        ours, theirs = read_volume(other), read_volume(path)
        np.testing.assert_array_equal(ours.array, theirs.array)
        np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-3)
        assert ours.warnings == ()
    assert len(kinds) == 6
    found = find_cases(DatasetSpec.from_json(mixed)).cases
    assert [measure_case(case, DatasetSpec.from_json(mixed)).problems for case in found] == [()] * 7


@pytest.mark.parametrize("kind", ["ct", "brats"])
def test_dicom_has_the_voxels_of_nifti(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("pydicom")
    from mist_bundle.dataset.dicom_layout import convert_dicom

    options = {"kind": kind, "num_cases": 2, "shape": (12, 11, 10), "mixed_headers": False}
    make_phantom(tmp_path / "nifti", **options)
    studies = make_phantom(tmp_path / "dicom", dicom=True, **options)
    convert_dicom(studies, tmp_path / "images")
    for case in sorted((tmp_path / "nifti" / "train").iterdir()):
        channels = [path for path in case.iterdir() if "mask" not in path.name]
        for path in channels:
            channel = path.name.removeprefix(f"{case.name}_")
            name = f"{case.name}.nii.gz" if len(channels) == 1 else f"{case.name}_{channel}"
            expected, found = nib.load(path), nib.as_closest_canonical(nib.load(tmp_path / "images" / name))
            expected = nib.as_closest_canonical(expected)
            assert np.allclose(found.affine, expected.affine, atol=1e-4)
            assert np.allclose(found.get_fdata(), expected.get_fdata(), atol=0.02)
        mask = nib.load(tmp_path / "dicom" / "labels" / f"{case.name}.nii.gz")
        (expected_mask,) = [nib.load(path) for path in case.iterdir() if "mask" in path.name]
        assert np.array_equal(np.asarray(mask.dataobj), np.asarray(expected_mask.dataobj))


def test_dicom_of_the_same_seed_is_the_same(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    contents = []
    for name in ("a", "b"):
        studies = make_phantom(tmp_path / name, kind="ct", num_cases=1, shape=(8, 8, 8), dicom=True)
        contents.append([path.read_bytes() for path in sorted(studies.rglob("*.dcm"))])
    assert contents[0] == contents[1]
