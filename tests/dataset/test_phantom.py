from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from mist_bundle.analysis.case_stats import measure_case
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import InputError

SMALL = {"num_cases": 4, "shape": (32, 32, 20)}


@pytest.mark.parametrize(
    ("kind", "labels"),
    [("mr2", (0, 1, 2, 3)), ("ct", (0, 1, 2)), ("brats", (0, 1, 2, 4)), ("hippocampus", (0, 1, 2))],
)
def test_every_kind_is_a_dataset_with_all_labels_in_all_cases(tmp_path, kind, labels):
    spec = DatasetSpec.from_json(make_phantom(tmp_path / "p", kind, num_test=1, **SMALL))
    assert spec.labels == labels
    found = find_cases(spec)
    assert len(found.cases) == 4
    assert found.problems == found.warnings == ()
    for case in found.cases:
        label = read_volume(case.label).array
        assert tuple(np.unique(label)) == labels
        assert min(np.mean(label == value) for value in labels) > 0.001
    assert len(find_cases(spec, "test").cases) == 1


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


def test_what_the_kinds_promise(tmp_path):
    ct = find_cases(DatasetSpec.from_json(make_phantom(tmp_path / "ct", "ct", **SMALL))).cases[0]
    image, label = (read_volume(path).array for path in (ct.images["ct"], ct.label))
    assert image.dtype == np.int16
    assert np.percentile(image, 1) == pytest.approx(-1000, abs=60)
    assert image[label == 1].mean() == pytest.approx(130, abs=3)
    brats = find_cases(DatasetSpec.from_json(make_phantom(tmp_path / "brats", "brats", **SMALL))).cases[0]
    assert np.mean(read_volume(brats.images["t1"]).array == 0) > 0.5
    assert read_volume(brats.label).array.dtype == np.float32


def test_oblique_headers(tmp_path):
    spec = DatasetSpec.from_json(make_phantom(tmp_path / "p", "mr2", oblique=True, mixed_orientations=False, **SMALL))
    for case in find_cases(spec).cases:
        affine = read_volume(case.label).affine[:3, :3]
        direction = affine / np.linalg.norm(affine, axis=0)
        np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-5)
        assert np.abs(direction).max(axis=0).min() < 0.9999
        assert nib.aff2axcodes(read_volume(case.label).affine) == ("L", "P", "S")


def test_the_demo_dataset_is_made_in_seconds(tmp_path):
    make_phantom(tmp_path / "p")


@pytest.mark.parametrize("arguments", [{"kind": "pet"}, {"num_cases": 0}, {"shape": (4, 4, 4)}, {"num_test": -1}])
def test_refused_arguments(tmp_path, arguments):
    with pytest.raises(InputError, match="expected"):
        make_phantom(tmp_path / "p", **arguments)


def test_output_is_not_overwritten_unasked(tmp_path):
    make_phantom(tmp_path / "p", num_cases=1, shape=(8, 8, 8))
    with pytest.raises(InputError, match="--overwrite"):
        make_phantom(tmp_path / "p", num_cases=1, shape=(8, 8, 8))
    make_phantom(tmp_path / "p", num_cases=1, shape=(8, 8, 8), overwrite=True)


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


def test_metastases_differ_much_in_size_and_stay_apart(tmp_path: Path) -> None:
    dataset = make_phantom(tmp_path / "p", kind="metastases", num_cases=4, mixed_headers=False)
    sizes = []
    for path in sorted(dataset.parent.glob("train/*/mask.nii.gz")):
        label = np.asarray(nib.load(path).dataobj)
        components, count = ndimage.label(label, structure=np.ones((3, 3, 3)))
        assert count >= 1
        sizes += np.bincount(components.ravel())[1:].tolist()
    assert min(sizes) < 40
    assert max(sizes) > 20 * min(sizes)
