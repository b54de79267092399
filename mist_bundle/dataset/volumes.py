"""Reading one image file whole, once; what cannot be used is an InputError that names the file.

The reading itself is that of the bundles' own scripts (runtime/reading), so that nobody sees another file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.reading import formats
from mist_bundle.runtime.reading.volume import Grid, UnreadableFileError, Volume

__all__ = ["Volume", "read_affine", "read_channels", "read_volume"]

_Result = TypeVar("_Result")


def read_volume(path: Path) -> Volume:
    """Read a 3D image file.

    Raises:
        InputError: the file is absent, empty, cut short, damaged or no image; it has not three dimensions, no
            plain numbers, or a geometry that is no geometry. The message says which and what to do.
    """
    return _asked(formats.read_volume, path)


def read_channels(path: Path) -> Volume:
    """Read a file of several channels, such as the probabilities of classes; its array is (X, Y, Z, C).

    A file of three dimensions has one channel.

    Raises:
        InputError: as for `read_volume`; it has neither three nor four dimensions.
    """
    return _asked(formats.read_channels, path)


def read_affine(path: Path) -> Grid:
    """Shape and affine from the header alone, without reading the voxels.

    Raises:
        InputError: the header cannot be read.
    """
    return _asked(formats.read_grid, path)


def _asked(read: Callable[[Path], _Result], path: Path) -> _Result:
    try:
        return read(path)
    except UnreadableFileError as error:
        raise InputError(Problem(error.file_name, error.reason)) from error
