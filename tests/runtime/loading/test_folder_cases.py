"""A folder of images is a list of cases without any datalist."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.runtime.loading.folder_cases import cases_of_folder


def _touch(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return str(path)


def test_case_folders(tmp_path: Path) -> None:
    first = [_touch(tmp_path / "p1" / "p1_t1.nrrd"), _touch(tmp_path / "p1" / "flair.nii.gz")]
    second = [_touch(tmp_path / "p2" / "t1.nii.gz"), _touch(tmp_path / "p2" / "flair.nii.gz")]
    _touch(tmp_path / ".hidden" / "t1.nii.gz")
    _touch(tmp_path / "notes.txt")
    assert cases_of_folder(tmp_path, ["t1", "flair"]) == [
        {"id": "p1", "image": first},
        {"id": "p2", "image": second},
    ]


def test_images_of_a_single_channel(tmp_path: Path) -> None:
    image = _touch(tmp_path / "scan.nii.gz")
    _touch(tmp_path / "scan.json")
    assert cases_of_folder(tmp_path, ["mri"]) == [{"id": "scan", "image": [image]}]
    assert cases_of_folder(tmp_path, ["t1", "flair"]) == []


def test_a_missing_channel_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = _touch(tmp_path / "p1" / "t1.nii.gz")
    (item,) = cases_of_folder(tmp_path, ["t1", "flair"])
    assert item["image"] == [image, str(tmp_path / "p1" / "flair.nii.gz")]
    assert 'warning: p1: no file matches "flair"' in capsys.readouterr().err


def test_an_image_with_all_channels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = {}
    for name, channels in (("p1", 2), ("p2", 3)):
        (tmp_path / name).mkdir()
        images[name] = str(tmp_path / name / "scan.nii.gz")
        nib.save(nib.Nifti1Image(np.zeros((3, 4, 5, channels), np.int16), np.eye(4)), images[name])
    first, second = cases_of_folder(tmp_path, ["t1", "flair"])
    assert first == {"id": "p1", "image": [images["p1"]] * 2}
    assert second["image"] == [str(tmp_path / "p2/t1.nii.gz"), str(tmp_path / "p2/flair.nii.gz")]
    printed = capsys.readouterr().err
    assert "1 is t1, 2 is flair" in printed
    assert "warning: p2: scan.nii.gz holds 3 channels, but the model takes 2 channels (t1, flair)" in printed
