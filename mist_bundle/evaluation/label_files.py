"""Label maps in files: read as whole numbers, written into a file that looks like the one it was made from."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.volumes import Volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import write_bytes
from mist_bundle.runtime.numerics.labels import as_labels


def read_named(read: Callable[[Path], Volume], path: Path) -> Volume:
    """Read a file; what is wrong with it is told with its whole path, for files of several folders share their names.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return read(path)
    except InputError as error:
        raise InputError([Problem(str(path), problem.message) for problem in error.problems]) from error


def whole_labels(volume: Volume) -> NDArray[Any]:
    """The labels of a volume that may be stored as floating point.

    Raises:
        InputError: a value is no whole number.
    """
    whole = as_labels(volume.array)
    if whole.dtype.kind == "f":
        raise InputError(Problem(str(volume.path), "holds values that are no whole numbers; expected labels."))
    return whole


def write_label_map(path: Path, label: NDArray[Any], like: Path) -> None:
    """Write whole numbers (X, Y, Z) as compressed NIfTI, complete or not at all.

    Args:
        path: of the `.nii.gz`.
        label: on the grid of `like`; stored in the smallest unsigned type, or as int32 where a value is negative.
        like: file whose header places the volume in the world.
    """
    import nibabel as nib

    source: Any = nib.load(like)
    low, high = (int(label.min()), int(label.max())) if label.size else (0, 0)
    kind = np.dtype(np.int32) if low < 0 else np.min_scalar_type(high)
    header = nib.Nifti1Header.from_header(source.header, check=False)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    header.set_data_dtype(kind)
    image = nib.Nifti1Image(label.astype(kind), source.affine, header)
    write_bytes(path, gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))
