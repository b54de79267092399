"""Laying out cases as one folder each, with files named after their channels, without copying what can be linked."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mist_bundle.dataset.names import IMAGE_SUFFIXES, image_suffix
from mist_bundle.dataset.spec import slug
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import CaseFailure, Problem

MASK_NAME = "mask"


# headers that name a second file with the voxels, which a link of another name would not find
_PAIRS = (".mhd", ".nhdr", ".hdr")


def place_file(source: Path, folder: Path, name: str, *, copy: bool = False) -> Path:
    """Make `folder/name` with the ending of `source` a link to it, or a copy where links are impossible.

    What lies in a pair of files is written as one NIfTI file.

    Args:
        source: an image.
        folder: made when it does not exist.
        name: of the new file, without ending.
        copy: copy the file instead of linking to it.

    Raises:
        InputError: a pair of files cannot be read.
    """
    if image_suffix(source) in _PAIRS:
        return _write_nifti(source, folder, name)
    target = folder / f"{name}{image_suffix(source)}"
    folder.mkdir(parents=True, exist_ok=True)
    if not copy:
        try:
            target.symlink_to(source.resolve())
        except (OSError, NotImplementedError):  # Windows without the right to link, some network drives
            copy = True
    if copy:
        shutil.copyfile(source, target)
    return target


def _write_nifti(source: Path, folder: Path, name: str) -> Path:
    import nibabel as nib

    volume = read_volume(source)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.nii.gz"
    nib.save(nib.Nifti1Image(volume.array, volume.affine, dtype=volume.array.dtype), target)
    return target


def split_channels(source: Path, folder: Path, names: Iterable[str]) -> None:
    """Write each channel of a 4D NIfTI file as a 3D file of its own, header and stored values kept."""
    import nibabel as nib

    folder.mkdir(parents=True, exist_ok=True)
    image: Any = nib.load(source)
    # unscaled, so that whole numbers stay whole numbers; the scale goes into each header
    stored = image.dataobj.get_unscaled()
    for index, name in enumerate(names):
        header = image.header.copy()
        header.set_data_shape(image.shape[:3])
        channel: Any = nib.Nifti1Image(np.asarray(stored[..., index]), image.affine, header)
        channel.header.set_slope_inter(image.dataobj.slope, image.dataobj.inter)
        nib.save(channel, folder / f"{name}.nii.gz")


def identifying_strings(names: Iterable[str]) -> dict[str, list[str]]:
    """Name -> the whole file names that `place_file` can give it; no other file is called so."""
    return {name: [f"{name}{suffix}" for suffix in IMAGE_SUFFIXES if suffix not in _PAIRS] for name in names}


def description(
    *,
    task: str,
    modality: str,
    channels: Iterable[str],
    label_names: dict[int, str],
    has_test: bool,
    **texts: str,
) -> dict[str, Any]:
    """The content of dataset.json for a folder laid out by this module; every label is its own final class.

    Args:
        task: name of the task.
        modality: "ct", "mr" or "other".
        channels: channel names in order.
        label_names: label value -> name, with the background.
        has_test: whether there is a test folder.
        texts: description, licence, reference; empty ones are left out.
    """
    return {
        "task": slug(task) or "dataset",
        "modality": modality,
        "train-data": "train",
        **({"test-data": "test"} if has_test else {}),
        "mask": identifying_strings([MASK_NAME])[MASK_NAME],
        "images": identifying_strings(channels),
        "labels": sorted(label_names),
        "final_classes": {name: [label] for label, name in sorted(label_names.items()) if label != 0},
        "label_names": {str(label): name for label, name in sorted(label_names.items())},
        **{key: text for key, text in texts.items() if text},
    }


def raise_failures(problems: list[Problem], total: int) -> None:
    """Raise CaseFailure when there are problems; called after everything that could be written has been."""
    if problems:
        raise CaseFailure(problems, total)
