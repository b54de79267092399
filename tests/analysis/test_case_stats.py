from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.analysis.case_stats import CaseStats, measure_case
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import InputError
from mist_bundle.runtime.numerics.crop import foreground_box
from tests.dataset.samples import example_arrays, save_volume, write_case, write_dataset, write_description


@pytest.fixture
def dataset(tmp_path):
    """The description of a dataset with one case, and the folder of that case."""
    return DatasetSpec.from_json(write_dataset(tmp_path, 1)), tmp_path / "train" / "case_000"


def measure(spec):
    return measure_case(find_cases(spec).cases[0], spec)


def refused(spec):
    with pytest.raises(InputError) as caught:
        measure(spec)
    return str(caught.value)


def test_measurements_against_plain_numpy(dataset):
    spec, _ = dataset
    stats = measure(spec)
    arrays = example_arrays(0)
    label = arrays["seg"]
    assert stats.id == "case_000"
    assert stats.label_voxels == {value: int((label == value).sum()) for value in (0, 1, 4)}
    assert stats.crop_box == foreground_box(arrays["t1"])
    inside = tuple(slice(start, stop) for start, stop in zip(*stats.crop_box, strict=True))
    assert stats.crop_reduction == pytest.approx(1 - arrays["t1"][inside].size / label.size)
    assert stats.num_voxels == label.size
    for channel, name in zip(stats.channels, ("t1", "t2"), strict=True):
        image = arrays[name].astype(np.float64)
        assert (channel.minimum, channel.maximum) == (image.min(), image.max())
        np.testing.assert_allclose([channel.low, channel.high], np.percentile(image, [0.5, 99.5]), rtol=1e-5)
        np.testing.assert_allclose([channel.mean, channel.std], [image.mean(), image.std()], rtol=1e-6)
        labelled = image[label > 0]
        assert channel.labelled.count == channel.histogram.total == labelled.size
        assert channel.labelled.mean == pytest.approx(labelled.mean(), rel=1e-6)
        assert channel.labelled.std == pytest.approx(labelled.std(), rel=1e-5)
        assert abs(channel.histogram.percentile(99.5) - np.percentile(labelled, 99.5)) <= channel.histogram.step
    assert stats.problems == ()


def test_json(dataset):
    stats = measure(dataset[0])
    assert CaseStats.from_json(json.loads(json.dumps(stats.to_json()))) == stats


def test_shapes_and_spacings_are_along_lps_for_every_orientation(dataset):
    # MIST mixes native axes with target axes: 512 x 512 x 20 sagittal became 64 x 512 x 160
    spec, folder = dataset
    case = find_cases(spec).cases[0]
    lps = np.diag([-0.5, -1.0, 4.0, 1.0])
    arrays = example_arrays(0, shape=(12, 10, 8))
    expected = {"shape": (12, 10, 8), "spacing_mm": (0.5, 1.0, 4.0)}
    reference = None
    count = 0
    for axes in itertools.permutations(("LR", "PA", "SI")):
        for letters in itertools.product(*axes):
            change = nib.orientations.ornt_transform(
                nib.orientations.axcodes2ornt("LPS"), nib.orientations.axcodes2ornt(letters)
            )
            for name, array in arrays.items():
                nib.save(nib.Nifti1Image(array, lps).as_reoriented(change), folder / f"{name}.nii.gz")
            stats = measure_case(case, spec)
            assert stats.orientation == "".join(letters)
            assert {"shape": stats.shape, "spacing_mm": stats.spacing_mm} == expected
            reference = reference or stats
            assert stats.cropped_shape == reference.cropped_shape
            for channel, expected_channel in zip(stats.channels, reference.channels, strict=True):
                assert channel.histogram == expected_channel.histogram
                assert (channel.minimum, channel.maximum) == (expected_channel.minimum, expected_channel.maximum)
                assert channel.labelled.mean == pytest.approx(expected_channel.labelled.mean, rel=1e-12)
            assert stats.label_voxels == reference.label_voxels
            count += 1
    assert count == 48


def test_the_crop_box_is_in_native_voxels(dataset):
    spec, folder = dataset
    image = np.zeros((20, 30, 40), np.int16)
    image[2:5, 6:20, 7:30] = 100
    affine = np.array([[0, 0, 2.0, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # axes point to A, I, R
    write_case(folder, {"t1": image, "t2": image, "seg": (image > 0).astype(np.uint8)}, affine)
    stats = measure(spec)
    assert stats.orientation == "AIR"
    assert stats.crop_box == ((2, 6, 7), (5, 20, 30))
    assert stats.shape == (40, 20, 30)
    assert stats.cropped_shape == (23, 3, 14)
    assert stats.spacing_mm == (2, 1, 1)
    assert stats.nonzero_fraction == pytest.approx((3 * 14 * 23 / 24000,) * 2)
    assert stats.nonzero_fraction_cropped == (1.0, 1.0)


def test_oblique_scans(dataset):
    spec, folder = dataset
    angle = np.radians(12)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    write_case(folder, example_arrays(0), turn @ np.diag([-1, -1, 2, 1]))
    stats = measure(spec)
    assert stats.oblique_degrees == pytest.approx(12, abs=1e-3)
    assert stats.spacing_mm == pytest.approx((1, 1, 2))
    write_case(folder, example_arrays(0))
    assert measure(spec).oblique_degrees == 0


def test_labels_that_the_crop_would_cut_off_are_reported(dataset):
    # MIST never looks; a lesion outside the bright part of the first channel is lost without a word
    spec, folder = dataset
    arrays = example_arrays(0)
    arrays["seg"][0, 0, :] = 4
    write_case(folder, arrays)
    stats = measure(spec)
    assert stats.label_voxels_lost == {4: 8}
    assert "leaves out 8 of 16 voxels of label 4" in stats.problems[0]


def test_every_file_is_read_once(dataset, monkeypatch):
    spec, folder = dataset
    reads = Counter()
    plain_open = Path.open

    def counted(path, *arguments, **named):
        if path.suffix == ".gz":
            reads[path.name] += 1
        return plain_open(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", counted)
    measure(spec)
    assert reads == {"t1.nii.gz": 1, "t2.nii.gz": 1, "seg.nii.gz": 1}
    assert folder.is_dir()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_label_files_of_any_type(dataset, dtype):
    spec, folder = dataset
    save_volume(folder / "seg.nii.gz", example_arrays(0)["seg"].astype(dtype))
    assert measure(spec).label_voxels == {0: 840, 1: 112, 4: 8}


def test_hounsfield_units_are_counted_one_by_one(tmp_path):
    spec = DatasetSpec.from_json(write_dataset(tmp_path, 1, modality="ct"))
    folder = tmp_path / "train" / "case_000"
    values = np.random.default_rng(0).integers(-1024, 3071, size=(12, 10, 8)).astype(np.int16)
    save_volume(folder / "t1.nii.gz", values)
    stats = measure(spec)
    labelled = values[example_arrays(0)["seg"] > 0]
    assert stats.channels[0].histogram.exact
    assert stats.channels[0].histogram.percentile(0.5) == pytest.approx(np.percentile(labelled, 0.5), abs=1e-9)


def _with(name, change):
    def damage(folder):
        array = example_arrays(0)[name]
        changed = change(array)
        save_volume(folder / f"{name}.nii.gz", array if changed is None else changed)

    return damage


def _nan(array):
    array[1, 1, 1] = np.nan


def _label_7(array):
    array[0, 0, 0] = 7


def _half(array):
    return np.where(array == 4, 0.5, array).astype(np.float32)


def _shifted(folder):
    affine = np.eye(4)
    affine[0, 3] = 7
    save_volume(folder / "seg.nii.gz", example_arrays(0)["seg"], affine)


def _truncated(name):
    def damage(folder):
        path = folder / f"{name}.nii.gz"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return damage


def _emptied(folder):
    (folder / "t2.nii.gz").write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_with("seg", lambda array: array[..., :-1]), ["seg.nii.gz", "(12, 10, 7)", "(12, 10, 8)"]),
        (_with("t2", lambda array: array[:-2]), ["t2.nii.gz", "(10, 10, 8)", "t1.nii.gz"]),
        (_shifted, ["seg.nii.gz", "origin is shifted by (7, 0, 0) mm"]),
        (_with("seg", _label_7), ["label 7 (1 voxel)", "[0, 1, 4]"]),
        (_with("seg", _half), ["0.5 (8 voxels)", "whole numbers"]),
        (_with("seg", lambda array: array.astype(np.int16) - 1), ["-1 ("]),
        (_with("t1", _nan), ["t1.nii.gz", "1 NaN", "[1, 1, 1]"]),
        (_with("t1", lambda array: np.stack([array] * 2, -1)), ["4 dimensions", "expected 3"]),
        (_truncated("t1"), ["t1.nii.gz", "cut short"]),
        (_truncated("seg"), ["seg.nii.gz", "cut short"]),
        (_emptied, ["t2.nii.gz", "empty"]),
    ],
)
def test_a_bad_case_is_refused_with_the_reason(dataset, damage, words):
    spec, folder = dataset
    damage(folder)
    message = refused(spec)
    for word in words:
        assert word in message


def test_all_problems_of_a_case_at_once(dataset):
    spec, folder = dataset
    for damage in (_with("seg", _label_7), _with("t1", _nan), _truncated("t2")):
        damage(folder)
    message = refused(spec)
    for word in ("label 7", "1 NaN", "cut short"):
        assert word in message


def test_a_case_without_label(dataset):
    spec, _ = dataset
    case = find_cases(spec).cases[0]
    with pytest.raises(InputError, match="needs a label file"):
        measure_case(type(case)(id=case.id, images=case.images), spec)


def test_oddities_only_warn(dataset):
    spec, folder = dataset
    arrays = example_arrays(0)
    write_case(folder, {"t2": np.full_like(arrays["t2"], 3), "seg": np.zeros_like(arrays["seg"])})
    stats = measure(spec)
    assert set(stats.problems) == {
        "t2.nii.gz is constant (3 everywhere); look at it, or leave out the case.",
        "seg.nii.gz holds no label other than 0; check whether it should.",
    }
    assert stats.label_voxels == {0: 960, 1: 0, 4: 0}
    assert CaseStats.from_json(json.loads(json.dumps(stats.to_json()))) == stats


def test_brats_sample(brats_dir, tmp_path):
    path = write_description(
        tmp_path,
        **{"train-data": str(brats_dir), "labels": [0, 1, 2, 3, 4]},
        images={"flair": ["flair.nii.gz"], "t1c": ["t1c.nii.gz"]},
        final_classes={"WT": [1, 2, 3, 4], "TC": [1, 3, 4], "ET": [4]},
    )
    stats = measure(DatasetSpec.from_json(path))
    assert stats.shape == (240, 240, 155)
    assert stats.orientation == "LPS"
    label = np.asanyarray(nib.load(brats_dir / stats.id / "seg.nii.gz").dataobj)
    assert stats.label_voxels == {value: int((label == value).sum()) for value in range(5)}
    assert stats.label_voxels_lost == {}
    assert 0.5 < stats.crop_reduction < 0.8
    image = np.asanyarray(nib.load(brats_dir / stats.id / "flair.nii.gz").dataobj)
    assert stats.crop_box == foreground_box(image)
    # from a sample of the voxels
    np.testing.assert_allclose(stats.channels[0].high, np.percentile(image, 99.5), rtol=0.02)
