"""Data in NRRD and MetaImage is analysed and planned as the same data in NIfTI is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk

from mist_bundle.analysis.case_stats import CaseStats
from mist_bundle.analysis.fingerprint import analyze
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.layout import place_file
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import read_volume


def _measured(dataset_json: Path) -> list[CaseStats]:
    spec = DatasetSpec.from_json(dataset_json)
    # where the header of a NIfTI file says something twice, the other formats have nothing to say
    return [replace(case, problems=()) for case in analyze(spec, find_cases(spec).cases).cases]


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd"])
def test_a_data_set_of_another_format_is_measured_alike(suffix: str, tmp_path: Path) -> None:
    dataset_json = make_phantom(tmp_path / "data", kind="mr2", num_cases=3, num_test=0, seed=2, shape=(20, 18, 16))
    before = _measured(dataset_json)
    for file in sorted((tmp_path / "data").rglob("*.nii.gz")):
        sitk.WriteImage(sitk.ReadImage(str(file)), str(file).removesuffix(".nii.gz") + suffix)
        file.unlink()
    content = json.loads(dataset_json.read_text())
    for name, strings in content["images"].items():
        content["images"][name] = [string.replace(".nii.gz", suffix) for string in strings]
    content["mask"] = [string.replace(".nii.gz", suffix) for string in content["mask"]]
    dataset_json.write_text(json.dumps(content))
    after = _measured(dataset_json)
    assert [case.shape for case in after] == [case.shape for case in before]
    assert [case.orientation for case in after] == [case.orientation for case in before]
    assert [case.label_voxels for case in after] == [case.label_voxels for case in before]
    assert [case.crop_box for case in after] == [case.crop_box for case in before]
    for case, other in zip(after, before, strict=True):
        assert case.spacing_mm == pytest.approx(other.spacing_mm, rel=1e-4)


def test_a_pair_of_files_is_laid_out_as_one(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    image.SetSpacing((1.0, 2.0, 3.0))
    sitk.WriteImage(image, str(tmp_path / "scan.mhd"))
    placed = place_file(tmp_path / "scan.mhd", tmp_path / "case", "t1")
    assert placed.name == "t1.nii.gz"
    assert read_volume(placed).array.tolist() == read_volume(tmp_path / "scan.mhd").array.tolist()
