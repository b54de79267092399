"""The data report: its numbers from the files themselves, its words for size, balance and shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import mist_bundle as mb
from mist_bundle.analysis.data_report import (
    DataFacts,
    kind_of_shape,
    make_data_report,
    size_category,
    statistics,
)
from mist_bundle.analysis.fingerprint import analyze_in_detail
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.spec import DatasetSpec
from tests.dataset.samples import example_arrays, write_case, write_description


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    path = make_phantom(tmp_path_factory.mktemp("data"), num_cases=4, shape=(24, 20, 14), overwrite=True)
    return DatasetSpec.from_json(path)


@pytest.fixture(scope="module")
def report(spec: DatasetSpec) -> dict[str, Any]:
    fingerprint, details = analyze_in_detail(spec, find_cases(spec).cases)
    return make_data_report(DataFacts.of_spec(spec), fingerprint, details)


def _labels(spec: DatasetSpec) -> list[Any]:
    return [nib.load(case.label) for case in find_cases(spec).cases if case.label is not None]


def test_it_is_json_without_nan_and_the_same_every_time(spec: DatasetSpec, report: dict[str, Any]) -> None:
    text = json.dumps(report, allow_nan=False)
    assert json.loads(text) == report
    fingerprint, details = analyze_in_detail(spec, find_cases(spec).cases)
    assert json.dumps(make_data_report(DataFacts.of_spec(spec), fingerprint, details)) == text


def test_volumes_and_shares(spec: DatasetSpec, report: dict[str, Any]) -> None:
    labels = _labels(spec)
    arrays = [np.asarray(label.dataobj) for label in labels]
    millilitres = [np.prod(label.header.get_zooms()[:3], dtype=np.float64) / 1000 for label in labels]
    assert set(report["structures"]) == {"liver", "kidney", "tumour", "liver (class)"}
    for stats in report["structures"].values():
        counts = [int(np.isin(array, stats["labels"]).sum()) for array in arrays]
        volumes = [count * size for count, size in zip(counts, millilitres, strict=True)]
        shares = [100 * count / array.size for count, array in zip(counts, arrays, strict=True)]
        assert stats["voxels"] == sum(counts)
        assert stats["volume_ml"]["median"] == pytest.approx(np.median(volumes), rel=1e-6)
        assert stats["volume_ml"]["max"] == pytest.approx(max(volumes), rel=1e-6)
        assert stats["percent_of_image"]["mean"] == pytest.approx(np.mean(shares))
        foreground = sum(int((array != 0).sum()) for array in arrays)
        assert stats["percent_of_foreground"] == pytest.approx(100 * sum(counts) / foreground)
        assert stats["present_in"] == 4
        assert stats["components"]["median"] >= 1
    single = [stats["voxels"] for stats in report["structures"].values() if len(stats["labels"]) == 1]
    assert report["imbalance"]["largest_to_smallest"] == pytest.approx(max(single) / min(single))


def test_grid_and_intensities(spec: DatasetSpec, report: dict[str, Any]) -> None:
    sizes = [max(label.header.get_zooms()[:3]) for label in _labels(spec)]
    assert report["spacing_mm"]["inferior-superior"]["max"] == pytest.approx(max(sizes), rel=1e-6)
    values = []
    for case, label in zip(find_cases(spec).cases, _labels(spec), strict=True):
        image = np.asarray(nib.load(case.images["t2"]).dataobj)
        values.append(image[np.asarray(label.dataobj) != 0])
    pooled = np.concatenate(values)
    measured = report["channels"]["t2"]["labelled"]
    assert measured["mean"] == pytest.approx(pooled.mean())
    assert measured["std"] == pytest.approx(pooled.std())
    assert measured["p95"] == pytest.approx(np.percentile(pooled, 95))  # whole numbers have exact percentiles
    assert sum(report["channels"]["t2"]["labelled_histogram"]["counts"]) <= pooled.size
    assert sum(report["channels"]["t2"]["labelled_histogram"]["counts"]) > 0.97 * pooled.size


@pytest.mark.parametrize("lacking", [0, 2])
def test_structures_are_measured_in_the_channels_that_a_case_has(lacking: int, tmp_path: Path) -> None:
    means = []
    for number in range(3):
        arrays = example_arrays(number)
        if number == lacking:
            del arrays["t2"]
        else:
            means.append(arrays["t2"][arrays["seg"] == 4].mean())
        write_case(tmp_path / "train" / f"case_{number}", arrays)
    path = write_description(tmp_path, optional_images=["t2"])
    report = mb.analyze(path, tmp_path / "out").report
    intensity = report["structures"]["small"]["intensity"]
    assert list(intensity) == ["t1", "t2"]
    assert intensity["t2"]["mean"] == pytest.approx(np.mean(means), rel=1e-4)


def test_without_details_there_are_volumes_but_no_shapes(spec: DatasetSpec, report: dict[str, Any]) -> None:
    fingerprint, _ = analyze_in_detail(spec, find_cases(spec).cases)
    plain = make_data_report(DataFacts.of_spec(spec), fingerprint)
    assert not plain["detailed"]
    assert "shape" not in plain["structures"]["liver"]
    assert plain["structures"]["liver"]["volume_ml"] == report["structures"]["liver"]["volume_ml"]


def test_a_far_outlier_does_not_flatten_the_picture(spec: DatasetSpec, tmp_path: Any) -> None:
    from dataclasses import replace

    cases = list(find_cases(spec).cases)
    image = nib.load(cases[0].images["t1"])
    scaled = nib.Nifti1Image(np.asarray(image.dataobj).astype(np.float32) * 2000, image.affine)
    nib.save(scaled, tmp_path / "t1.nii.gz")
    cases[0] = replace(cases[0], images={**cases[0].images, "t1": tmp_path / "t1.nii.gz"})
    fingerprint, details = analyze_in_detail(spec, cases)
    found = make_data_report(DataFacts.of_spec(spec), fingerprint, details)
    histogram = found["channels"]["t1"]["labelled_histogram"]
    assert np.count_nonzero(histogram["counts"]) >= 1
    assert any("differs" in sentence and "t1" in sentence for sentence in found["observations"])


@pytest.mark.parametrize(
    ("percent", "word"), [(0.05, "tiny"), (0.1, "small"), (0.99, "small"), (1, "medium"), (4.9, "medium"), (5, "large")]
)
def test_size_categories(percent: float, word: str) -> None:
    assert size_category(percent) == word


@pytest.mark.parametrize(
    ("numbers", "word"),
    [
        ((3.0, 1.0, 0.0, 0.0), "compact"),
        ((2.2, 60.0, 0.95, 0.0), "tubular"),
        ((2.0, 60.0, 0.1, 0.3), "tubular"),
        ((1.1, 200.0, 0.0, 0.99), "sheet-like"),
        ((2.5, 5.0, 0.8, 0.1), "elongated"),
        ((2.0, 6.0, 0.1, 0.8), "flat"),
    ],
)
def test_kinds_of_shape(numbers: tuple[float, float, float, float], word: str) -> None:
    assert kind_of_shape(*numbers) == word


def test_statistics_are_numpys() -> None:
    values = np.random.default_rng(0).normal(size=31)
    found = statistics(values.tolist())
    assert found is not None
    assert found["p25"] == pytest.approx(np.percentile(values, 25))
    assert found["std"] == pytest.approx(values.std())
    assert statistics([]) is None
