"""The files of a case are read once, checked together and placed."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from mist_bundle.dataset.placed_case import FileCase, Placing, label_values, place_case
from mist_bundle.dataset.volumes import num_channels, read_volume
from mist_bundle.errors import InputError
from tests.dataset.samples import save_volume

SHAPE = (6, 5, 4)


def _vector_image(path: Path, channels: int) -> np.ndarray:
    """Write a multi-channel image by SimpleITK; returns (X, Y, Z, C)."""
    array = np.random.default_rng(1).normal(size=(*SHAPE[::-1], channels)).astype(np.float32)
    image = sitk.GetImageFromArray(array, isVector=True)
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((5.0, -4.0, 3.0))
    sitk.WriteImage(image, str(path))
    return array.transpose(2, 1, 0, 3)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_channels_of_every_format_are_split(suffix: str, tmp_path: Path) -> None:
    scan = tmp_path / f"scan{suffix}"
    array = _vector_image(scan, channels=3)
    assert num_channels(scan) == 3
    case = FileCase(id="a", images={"scan": scan})
    place_case(case, Placing(channels={"scan": ("t1", "t2", "flair")}, folder=tmp_path / "out"))
    for index, name in enumerate(("t1", "t2", "flair")):
        reference = sitk.VectorIndexSelectionCast(sitk.ReadImage(str(scan)), index)
        written = sitk.ReadImage(str(tmp_path / "out" / "a" / f"{name}.nii.gz"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(reference))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(written).T, array[..., index])
        for ours, theirs in zip(written.GetOrigin(), reference.GetOrigin(), strict=True):
            assert ours == pytest.approx(theirs, abs=1e-5)
        assert written.GetSpacing() == pytest.approx(reference.GetSpacing())


def test_all_problems_of_a_case_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    t1 = save_volume(tmp_path / "t1.nii.gz", np.zeros(SHAPE, np.float32))
    t2 = save_volume(tmp_path / "t2.nii.gz", np.zeros((3, 3, 3), np.float32))
    label = save_volume(tmp_path / "label.nii.gz", np.full(SHAPE, 0.5, np.float32))
    (tmp_path / "t3.nii.gz").write_bytes(b"")
    case = FileCase(id="a", images={"t1": t1, "t2": t2, "t3": tmp_path / "t3.nii.gz"}, label=label)
    channels = {name: (name,) for name in ("t1", "t2", "t3", "t4")}
    with pytest.raises(InputError) as refused:
        place_case(case, Placing(channels=channels, folder=tmp_path / "out"))
    said = str(refused.value)
    for words in ("t2.nii.gz does not lie on the grid", "t3.nii.gz", '"t4": has no image', "label.nii.gz: holds [0.5]"):
        assert words in said
    assert not (tmp_path / "out").exists()


def test_the_content_of_a_case(tmp_path: Path) -> None:
    array = np.stack([np.full(SHAPE, -3.0), np.full(SHAPE, -9.0)], axis=-1).astype(np.float32)
    scan = save_volume(tmp_path / "scan.nii.gz", array)
    label = np.zeros(SHAPE, np.uint8)
    label[2] = 7
    content = place_case(
        FileCase(id="a", images={"scan": scan}, label=save_volume(tmp_path / "label.nii.gz", label)),
        Placing(channels={"scan": ("t1", "t2")}),
    )
    assert content.labels == (0, 7)
    assert content.minimum == -3.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["label.nii.gz", "scan.nii.gz"]
    assert label_values(read_volume(tmp_path / "label.nii.gz")) == (0, 7)
    assert nib.load(scan).shape == (*SHAPE, 2)


def test_of_many_values_that_are_no_labels_some_are_shown(tmp_path: Path) -> None:
    halves = np.zeros((3, 4, 5), np.float32)
    halves.flat[:12] = np.arange(12) + 0.5
    with pytest.raises(InputError, match=r"holds \[0\.5, .*7\.5 and 4 more\]; labels must be whole numbers"):
        label_values(read_volume(save_volume(tmp_path / "label.nii.gz", halves)))
