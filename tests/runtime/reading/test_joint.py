"""Which image of a folder holds all channels; whole layouts are tested in tests/dataset/test_joint_channels.py."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from mist_bundle.runtime.reading.joint import joint_image_of, order_of_channels, wrong_number

CHANNELS = ["t1", "flair"]


def _save(path: Path, *channels: int) -> Path:
    nib.save(nib.Nifti1Image(np.zeros((3, 4, 5, *channels), np.int16), np.eye(4)), path)
    return path


def test_an_image_of_all_channels_among_others(tmp_path: Path) -> None:
    joint, mask, series = _save(tmp_path / "a.nii", 2), _save(tmp_path / "b.nii"), _save(tmp_path / "c.nii", 30)
    assert joint_image_of([joint, mask, series], [], CHANNELS) == (joint, "")
    assert joint_image_of([joint, mask], [mask], CHANNELS) == (None, ""), "each channel has its own file"
    assert joint_image_of([joint, mask], [joint], CHANNELS) == (joint, "")
    assert joint_image_of([mask, series], [], CHANNELS) == (None, "")
    assert joint_image_of([joint], [], ["t1"]) == (None, "")


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    first, second, three = _save(tmp_path / "a.nii", 2), _save(tmp_path / "b.nii", 2), _save(tmp_path / "c.nii", 3)
    assert "a.nii and b.nii hold 2 channels each" in joint_image_of([first, second], [], CHANNELS)[1]
    assert joint_image_of([three], [], CHANNELS)[1] == wrong_number(three, 3, CHANNELS)
    (tmp_path / "d.nii").write_bytes(b"")
    assert "d.nii is empty" in joint_image_of([tmp_path / "d.nii"], [], CHANNELS)[1]
    assert "1 is t1, 2 is flair." in order_of_channels(CHANNELS)
