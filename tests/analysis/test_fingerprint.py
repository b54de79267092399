from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from mist_bundle.analysis.fingerprint import Fingerprint, analyze
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.msd_layout import convert_msd
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import InputError, Problem
from tests.dataset.samples import example_arrays, save_volume, write_dataset


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    path = make_phantom(tmp_path_factory.mktemp("phantom") / "ct", "ct", num_cases=4, shape=(32, 32, 20))
    spec = DatasetSpec.from_json(path)
    cases = find_cases(spec).cases
    return spec, cases, analyze(spec, cases)


def labelled_voxels(cases):
    arrays = [(read_volume(case.images["ct"]).array, read_volume(case.label).array) for case in cases]
    return np.concatenate([image[label > 0] for image, label in arrays]).astype(np.float64)


def test_intensities_of_a_ct_dataset_are_those_of_all_labelled_voxels(phantom):
    # MIST takes every tenth voxel and bins that end at 3072 HU
    _, cases, fingerprint = phantom
    values = labelled_voxels(cases)
    found = fingerprint.intensity_properties(0)
    low, high = np.percentile(values, [0.5, 99.5])
    assert found["low"] == pytest.approx(low, abs=1e-9)
    assert found["high"] == pytest.approx(high, abs=1e-9)
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-12)
    assert found["std"] == pytest.approx(values.std(), rel=1e-9)
    clipped = np.clip(values, low, high)
    assert found["windowed_mean"] == pytest.approx(clipped.mean(), rel=1e-12)
    assert found["windowed_std"] == pytest.approx(clipped.std(), rel=1e-9)


def test_summaries(phantom):
    spec, cases, fingerprint = phantom
    labels = [read_volume(case.label).array for case in cases]
    assert fingerprint.case_ids == tuple(case.id for case in cases)
    assert fingerprint.num_channels == 1
    assert fingerprint.class_voxels == {
        value: sum(int((label == value).sum()) for label in labels) for value in spec.labels
    }
    for case, measured, label in zip(cases, fingerprint.cases, labels, strict=True):
        nonzero = np.count_nonzero(read_volume(case.images["ct"]).array) / label.size
        assert measured.nonzero_fraction == pytest.approx((nonzero,))
    assert fingerprint.findings() == ()


def test_json_file(phantom, tmp_path):
    _, _, fingerprint = phantom
    with_excluded = Fingerprint(cases=fingerprint.cases, excluded=(Problem("x", "is broken."),))
    with_excluded.write(tmp_path / "fingerprint.json")
    assert Fingerprint.read(tmp_path / "fingerprint.json") == with_excluded
    assert Fingerprint.from_json(json.loads(json.dumps(with_excluded.to_json()))) == with_excluded
    (tmp_path / "other.json").write_text('{"cases": []}')
    with pytest.raises(InputError, match=r"other\.json: is not a fingerprint"):
        Fingerprint.read(tmp_path / "other.json")


def test_parts_add_up_to_the_whole(phantom):
    spec, cases, fingerprint = phantom
    first, second = analyze(spec, cases[2:]), analyze(spec, cases[:2])
    assert first.merge(second) == fingerprint


def test_neither_order_nor_workers_matter(phantom):
    spec, cases, fingerprint = phantom
    assert analyze(spec, cases[::-1], workers=2) == fingerprint


def test_bad_cases_are_left_out_by_name(tmp_path):
    spec = DatasetSpec.from_json(write_dataset(tmp_path, 5))
    label = example_arrays(2)["seg"]
    save_volume(tmp_path / "train" / "case_002" / "seg.nii.gz", np.where(label == 4, 7, label).astype(np.uint8))
    cut = tmp_path / "train" / "case_001" / "t2.nii.gz"
    cut.write_bytes(cut.read_bytes()[:100])
    (tmp_path / "train" / "case_004" / "t1.nii.gz").unlink()
    found = find_cases(spec)
    fingerprint = analyze(spec, found.cases, excluded=found.problems)
    assert fingerprint.case_ids == ("case_000", "case_003")
    excluded = {problem.path: problem.message for problem in fingerprint.excluded}
    assert list(excluded) == ["case_001", "case_002", "case_004"]
    assert "t2.nii.gz: is cut short" in excluded["case_001"]
    assert "label 7 (8 voxels)" in excluded["case_002"]
    assert 'no file matches "t1"' in excluded["case_004"]


def test_no_usable_case_is_an_error_that_names_all(tmp_path):
    spec = DatasetSpec.from_json(write_dataset(tmp_path, 2, labels=[0, 1], final_classes=...))
    with pytest.raises(InputError) as caught:
        analyze(spec, find_cases(spec).cases)
    assert [problem.path for problem in caught.value.problems][:2] == ["case_000", "case_001"]
    assert "no usable case is left" in str(caught.value)


def test_labels_that_never_occur(tmp_path):
    spec = DatasetSpec.from_json(write_dataset(tmp_path, 2, labels=[0, 1, 2, 4]))
    fingerprint = analyze(spec, find_cases(spec).cases)
    assert fingerprint.class_voxels[2] == 0
    assert "[2] are listed in dataset.json, but occur in no case" in str(fingerprint.findings()[-1])


def test_no_labelled_voxel_at_all(tmp_path):
    spec = DatasetSpec.from_json(write_dataset(tmp_path, 1))
    save_volume(tmp_path / "train" / "case_000" / "seg.nii.gz", np.zeros((12, 10, 8), np.uint8))
    fingerprint = analyze(spec, find_cases(spec).cases)
    with pytest.raises(InputError, match="no intensities to normalise by"):
        fingerprint.intensity_properties(0)


def test_the_analysis_starts_without_torch():
    code = (
        "import sys;"
        "import mist_bundle.analysis.fingerprint, mist_bundle.dataset.cases, mist_bundle.dataset.phantom;"
        "import mist_bundle.dataset.msd_layout, mist_bundle.dataset.csv_layout, nibabel;"
        "print(sorted({'torch', 'monai', 'ignite', 'SimpleITK', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_hippocampus(hippocampus_dir, tmp_path):
    spec = DatasetSpec.from_json(convert_msd(hippocampus_dir, tmp_path / "data", limit=40))
    fingerprint = analyze(spec, find_cases(spec).cases)
    assert len(fingerprint.cases) == 40
    assert fingerprint.excluded == ()
    assert {case.spacing_mm for case in fingerprint.cases} == {(1.0, 1.0, 1.0)}
    median = np.median([case.shape for case in fingerprint.cases], axis=0)
    np.testing.assert_allclose(median, (36, 50, 37), atol=2)
    assert fingerprint.findings() == ()
