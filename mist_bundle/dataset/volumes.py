"""Reading an image file; a file that cannot be used raises an InputError that names it.

The bundles' own reader (runtime/reading) does the work, so planning and training see the same voxels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.reading import formats
from mist_bundle.runtime.reading.volume import Grid, UnreadableFileError, Volume

__all__ = ["Volume", "memory_of_a_case", "num_channels", "read_affine", "read_channels", "read_volume"]

PROCESS_BYTES = 0.25e9  # of a process without its case; measured: 0.15e9
# measured: 4 (analyze), 6 (with details), 1 (evaluate, dice and hd95 of small structures), 1 (ensemble)
BYTES_PER_VOXEL = 16.0

_Result = TypeVar("_Result")


def read_volume(path: Path) -> Volume:
    """Read a 3D image file.

    Raises:
        InputError: the file is missing, empty, truncated, damaged or no image, or it does not hold three dimensions of
            plain numbers with a valid geometry. The message says which and what to do.
    """
    return _refusing_unreadable(formats.read_volume, path)


def read_channels(path: Path) -> Volume:
    """Read a file with several channels, such as class probabilities, as an array (X, Y, Z, C).

    A three-dimensional file has a single channel.

    Raises:
        InputError: as for `read_volume`, or the file has neither three nor four dimensions.
    """
    return _refusing_unreadable(formats.read_channels, path)


def read_affine(path: Path) -> Grid:
    """Read shape and affine from the header, without the voxels.

    Raises:
        InputError: the header cannot be read.
    """
    return _refusing_unreadable(formats.read_grid, path)


def num_channels(path: Path) -> int:
    """Count the channels of an image by its header; a volume has a single one.

    Raises:
        InputError: the header cannot be read.
    """
    return _refusing_unreadable(formats.num_channels, path)


def memory_of_a_case(cases: Iterable[Sequence[Path]], bytes_per_voxel: float = BYTES_PER_VOXEL) -> float:
    """Bytes that work on a single case may take, judged by the headers of the case with the largest files.

    Args:
        cases: the files that are read for each case.
        bytes_per_voxel: for each voxel of each of these files.
    """
    largest: Sequence[Path] = ()
    largest_size = -1
    for files in cases:
        size = 0
        for path in files:
            with suppress(OSError):
                size += path.stat().st_size
        if size > largest_size:
            largest, largest_size = files, size
    voxels = 0
    for path in largest:
        with suppress(InputError):  # whoever reads the file will say so
            voxels += math.prod(read_affine(path)[0])
    return PROCESS_BYTES + bytes_per_voxel * voxels


def _refusing_unreadable(read: Callable[[Path], _Result], path: Path) -> _Result:
    try:
        return read(path)
    except UnreadableFileError as error:
        raise InputError(Problem(error.file_name, error.reason)) from error
