"""Each kind of phantom has the labels, intensities and sizes that its recipe promises."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import read_volume

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


def test_what_the_kinds_promise(tmp_path):
    ct = find_cases(DatasetSpec.from_json(make_phantom(tmp_path / "ct", "ct", **SMALL))).cases[0]
    image, label = (read_volume(path).array for path in (ct.images["ct"], ct.label))
    assert image.dtype == np.int16
    assert np.percentile(image, 1) == pytest.approx(-1000, abs=60)
    assert image[label == 1].mean() == pytest.approx(130, abs=3)
    brats = find_cases(DatasetSpec.from_json(make_phantom(tmp_path / "brats", "brats", **SMALL))).cases[0]
    assert np.mean(read_volume(brats.images["t1"]).array == 0) > 0.5
    assert read_volume(brats.label).array.dtype == np.float32


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
