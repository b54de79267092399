"""Reading label maps as whole numbers, and writing them with the header of the volume that they belong to."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.volumes import Volume
from mist_bundle.errors import Collecting, InputError, Problem, problems_of
from mist_bundle.files import write_bytes
from mist_bundle.runtime.numerics.labels import as_labels


def read_named(read: Callable[[Path], Volume], path: Path) -> Volume:
    """Read a file. Problems name its whole path, since files of several folders may share a name.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return read(path)
    except InputError as error:
        messages = [problem.message for problem in error.problems]
        raise InputError(problems_of(str(path), messages)) from error


def read_all(read: Callable[[Path], Volume], paths: Sequence[Path]) -> list[Volume]:
    """Read several files that belong to the same case.

    Raises:
        InputError: naming every file that cannot be read.
    """
    volumes: list[Volume] = []
    damaged: list[Problem] = []
    for path in paths:
        with Collecting(damaged):
            volumes.append(read_named(read, path))
    if damaged:
        raise InputError(damaged)
    return volumes


def whole_labels(volume: Volume) -> NDArray[Any]:
    """The labels of a volume that may be stored as floating point.

    Raises:
        InputError: a value is not a whole number.
    """
    whole = as_labels(volume.array)
    if whole.dtype.kind == "f":
        raise InputError(Problem(str(volume.path), "holds values that are not whole numbers; expected labels."))
    return whole


def write_label_map(path: Path, label: NDArray[Any], like: Path) -> None:
    """Write a label map (X, Y, Z) as compressed NIfTI, atomically.

    Args:
        path: of the `.nii.gz`.
        label: on the grid of `like`; stored in the smallest unsigned type, or as int32 where a value is negative.
        like: file whose header gives position, orientation and spacing.
    """
    import nibabel as nib

    source: Any = nib.load(like)
    lowest = int(label.min(initial=0))
    highest = int(label.max(initial=0))
    kind = np.dtype(np.int32) if lowest < 0 else np.min_scalar_type(highest)
    header = nib.Nifti1Header.from_header(source.header, check=False)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    header.set_data_dtype(kind)
    image = nib.Nifti1Image(label.astype(kind), source.affine, header)
    write_bytes(path, gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))
