"""Small NIfTI files and case folders for the tests of this folder and of tests/analysis."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from mist_bundle.dataset.placed_case import CaseSource, FileCase

DESCRIPTION: dict[str, Any] = {
    "task": "Two Organs",
    "modality": "mr",
    "train-data": "train",
    "mask": ["seg.nii.gz"],
    "images": {"t1": ["t1.nii.gz"], "t2": ["t2.nii.gz"]},
    "labels": [0, 1, 4],
    "final_classes": {"both": [1, 4], "small": [4]},
}


def touch(folder: Path, *names: str) -> Path:
    """Create a folder with empty files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def save_volume(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """Write an array as NIfTI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


def example_arrays(seed: int = 0, shape: Sequence[int] = (12, 10, 8)) -> dict[str, np.ndarray]:
    """Two images with a bright centre and their label with the values 0, 1 and 4."""
    rng = np.random.default_rng(seed)
    label = np.zeros(shape, dtype=np.uint8)
    label[3:9, 3:8, 2:6] = 1
    label[5:7, 4:6, 3:5] = 4
    images = {
        name: (rng.normal(20, 3, size=shape) + 100 * (label > 0) * (index + 1)).astype(np.float32)
        for index, name in enumerate(("t1", "t2"))
    }
    return {**images, "seg": label}


def write_case(folder: Path, arrays: Mapping[str, np.ndarray], affine: np.ndarray | None = None) -> None:
    """Write `<name>.nii.gz` for each array."""
    for name, array in arrays.items():
        save_volume(folder / f"{name}.nii.gz", array, affine)


def write_description(folder: Path, **changes: Any) -> Path:
    """Write dataset.json with some keys changed; the value ... removes a key."""
    content = {key: value for key, value in {**DESCRIPTION, **changes}.items() if value is not ...}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dataset.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_dataset(folder: Path, num_cases: int = 3, **changes: Any) -> Path:
    """A complete small dataset; returns its dataset.json."""
    for index in range(num_cases):
        write_case(folder / "train" / f"case_{index:03d}", example_arrays(index))
    return write_description(folder, **changes)


NNUNET_LABELS = {"background": 0, "liver": 1, "tumor": 2}


def write_nnunet_image(path: Path, seed: int) -> None:
    """Write a random image of whole numbers from 0 to 2."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).integers(0, 3, (6, 7, 5)).astype(np.uint8)
    if path.name.endswith(".nii.gz"):
        nib.save(nib.Nifti1Image(array, np.diag([-1.0, -1.0, 2.0, 1.0])), path)
    else:
        image = sitk.GetImageFromArray(array.T)
        image.SetSpacing((1.0, 1.0, 2.0))
        sitk.WriteImage(image, str(path))


def make_nnunet(folder: Path, *, channels: int = 2, cases: int = 4, ending: str = ".nii.gz", **changes: Any) -> Path:
    """A small raw dataset of nnU-Net; `changes` replace keys of its dataset.json."""
    for case in range(cases):
        for channel in range(channels):
            write_nnunet_image(folder / "imagesTr" / f"case_{case:03d}_{channel:04d}{ending}", seed=10 * case + channel)
        write_nnunet_image(folder / "labelsTr" / f"case_{case:03d}{ending}", seed=case)
    for channel in range(channels):
        write_nnunet_image(folder / "imagesTs" / f"new_{channel:04d}{ending}", seed=99)
    content = {
        "channel_names": {str(channel): ("T1", "FLAIR", "T2")[channel] for channel in range(channels)},
        "labels": NNUNET_LABELS,
        "numTraining": cases,
        "file_ending": ending,
        **changes,
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


BOXES = {"liver": np.s_[2:10, 2:10, 2:8], "spleen": np.s_[11:14, 2:10, 2:8], "tumor": np.s_[4:6, 4:6, 4:6]}


def write_masks(folder: Path, *, without: Sequence[str] = (), affine: np.ndarray | None = None) -> None:
    """A case in TotalSegmentator's layout: ct.nii.gz and a mask for each structure; the tumor lies in the liver."""
    affine = np.diag([-1.5, -1.5, 1.5, 1.0]) if affine is None else affine
    shape = (16, 12, 10)
    image = np.random.default_rng(0).normal(-900, 50, shape).astype(np.int16)
    save_volume(folder / "ct.nii.gz", image, affine)
    for name, box in BOXES.items():
        if name not in without:
            mask = np.zeros(shape, np.uint8)
            mask[box] = 1
            save_volume(folder / "segmentations" / f"{name}.nii.gz", mask, affine)


def source_of_masks(folder: Path, cases: int, structures: tuple[str, ...] = ("liver", "tumor")) -> CaseSource:
    """Cases of a mask for each structure, which share a slice with the next."""
    shape = (6, 5, 4)
    training = []
    for number in range(cases):
        masks = {}
        for index, name in enumerate(structures):
            mask = np.zeros(shape, np.uint8)
            mask[:, :, index : index + 2] = 1
            masks[name] = save_volume(folder / f"{number}_{name}.nii.gz", mask)
        image = save_volume(folder / f"{number}.nii.gz", np.full(shape, -1000, np.int16))
        training.append(FileCase(id=f"c{number}", images={"ct": image}, masks=masks, extra={"site": "Bern"}))
    return CaseSource(
        place=folder, columns=("ct",), training=tuple(training), structures=structures, extra_columns=("site",)
    )
