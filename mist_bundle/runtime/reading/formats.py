"""Which reader reads which kind of file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .itk import (
    read_analyze,
    read_analyze_grid,
    read_meta_image,
    read_meta_image_grid,
    read_nrrd,
    read_nrrd_grid,
)
from .nifti import read_nifti, read_nifti_grid
from .volume import Grid, Volume


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file.

    Attributes:
        endings: of file names, in lower case.
        read: from a path to its Volume; with `channels=True` the array is (X, Y, Z, C).
        read_grid: from a path to shape and affine, without reading the voxels.
    """

    endings: tuple[str, ...]
    read: Callable[..., Volume]
    read_grid: Callable[[Path], Grid]


NIFTI = Format((".nii.gz", ".nii"), read_nifti, read_nifti_grid)
# Support for another kind of file is another row.
FORMATS: tuple[Format, ...] = (
    NIFTI,
    Format((".nrrd", ".nhdr"), read_nrrd, read_nrrd_grid),
    Format((".mha", ".mhd"), read_meta_image, read_meta_image_grid),
    Format((".hdr",), read_analyze, read_analyze_grid),
)
ENDINGS: tuple[str, ...] = tuple(itertools.chain.from_iterable(kind.endings for kind in FORMATS))


def is_readable_name(path: Path) -> bool:
    """Whether the file's name ends like that of a kind of file that can be read."""
    return path.name.lower().endswith(ENDINGS)


def image_stem(path: Path) -> str:
    """Return the file's own name without its image suffix."""
    return path.name[: len(path.name) - len(image_suffix(path))]


def image_suffix(path: Path) -> str:
    """Return the image suffix of a file in lower case, such as .nii.gz, or "" if it has none."""
    name = path.name.lower()
    for suffix in ENDINGS:
        if name.endswith(suffix):
            return suffix
    return ""


def read_volume(path: Path, *, scaled: type[np.floating[Any]] = np.float64) -> Volume:
    """Read a 3D image.

    Args:
        path: the file.
        scaled: type of voxels that a header scales.

    Raises:
        UnreadableFileError: the file cannot be used; it says why and what to do.
    """
    kind = _format_of(path)
    return read_nifti(path, scaled=scaled) if kind is NIFTI else kind.read(path)


def read_channels(path: Path, *, scaled: type[np.floating[Any]] = np.float64) -> Volume:
    """Read an image of several channels, such as the probabilities of classes; its array is (X, Y, Z, C).

    Args:
        path: the file.
        scaled: type of voxels that a header scales.

    Raises:
        UnreadableFileError: as for `read_volume`.
    """
    kind = _format_of(path)
    if kind is NIFTI:
        return read_nifti(path, channels=True, scaled=scaled)
    return kind.read(path, channels=True)


def num_channels(path: Path) -> int:
    """Count the channels of an image by its header; a volume has a single one.

    Raises:
        UnreadableFileError: the header cannot be read.
    """
    shape, _ = read_grid(path)
    return math.prod(shape[3:])


def read_grid(path: Path) -> Grid:
    """Shape and affine (RAS+ millimetres) from the header alone.

    Raises:
        UnreadableFileError: the header cannot be read.
    """
    return _format_of(path).read_grid(path)


def _format_of(path: Path) -> Format:
    for kind in FORMATS:
        if path.name.lower().endswith(kind.endings):
            return kind
    return NIFTI  # which refuses the file by what is in it
