"""Structures of a case: components, shapes and intensities against nibabel, numpy and scipy."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from mist_bundle.analysis.case_stats import measure_case
from mist_bundle.analysis.details import measure_details, structures_of
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.spec import DatasetSpec


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    path = make_phantom(tmp_path_factory.mktemp("data"), num_cases=2, shape=(24, 20, 14), overwrite=True)
    return DatasetSpec.from_json(path)


def test_names_of_labels_and_of_classes_with_several() -> None:
    names = {0: "background", 1: "core", 2: "oedema", 4: "WT"}
    classes = {"WT": (1, 2, 4), "core": (1,), "TC": (1, 4)}
    assert structures_of((0, 1, 2, 4), names, classes) == {
        "core": (1,),
        "oedema": (2,),
        "WT": (4,),
        "WT (class)": (1, 2, 4),
        "TC": (1, 4),
    }


def test_details_agree_with_the_files(spec: DatasetSpec) -> None:
    for case in find_cases(spec).cases:
        details = measure_details(case, spec)
        assert details.stats == measure_case(case, spec)
        assert case.label is not None
        label = nib.load(case.label)
        array = np.asarray(label.dataobj)
        files = [*case.images.values(), case.label]
        assert details.file_bytes == sum(len(Path(path).read_bytes()) for path in files)
        for name, members in structures_of(spec.labels, spec.label_names, spec.final_classes).items():
            mask = np.isin(array, members)
            found = details.structures[name]
            parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
            assert found.num_components == count
            assert sum(found.component_voxels) == mask.sum()
            assert found.component_voxels[0] == np.bincount(parts.ravel())[1:].max()
            assert found.shape is not None
            volume = mask.sum() * np.prod(label.header.get_zooms()[:3], dtype=np.float64)
            assert found.shape.volume_mm3 == pytest.approx(volume, rel=1e-6)
            for channel, path in case.images.items():
                values = np.asarray(nib.load(path).dataobj, dtype=np.float64)[mask]
                assert found.intensity[channel] == pytest.approx((values.mean(), values.std()))


def test_absent_structure(spec: DatasetSpec, tmp_path: Path) -> None:
    case = find_cases(spec).cases[0]
    assert case.label is not None
    label = nib.load(case.label)
    array = np.asarray(label.dataobj).copy()
    array[array == 2] = 0
    nib.save(nib.Nifti1Image(array, label.affine, label.header), tmp_path / "mask.nii.gz")
    without = type(case)(id=case.id, images=case.images, label=tmp_path / "mask.nii.gz")
    found = measure_details(without, spec).structures[spec.label_names[2]]
    assert found.shape is None
    assert (found.num_components, found.component_voxels, found.intensity) == (0, (), {})
