"""A digest of a scan's voxels that is the same however they are stored, to recognise copies."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grid import reorient


def scan_digest(array: NDArray[Any], affine: Any) -> str:
    """A hash of the voxel values (as float32) along L, P, S, in 40 hexadecimal digits; "" for a constant image.

    Copies that were compressed again, stored in another axis order, as another data type or under another origin have
    the same digest. Constant images have none: they say nothing about where they come from.

    Args:
        array: (X, Y, Z).
        affine: of the array; only its orientation matters.
    """
    if array.min() == array.max():
        return ""
    turned = reorient(array[None], affine, "LPS")[0][0]
    layers = turned.T  # x varies fastest, as in NIfTI files
    digest = hashlib.sha1(str(layers.shape).encode(), usedforsecurity=False)
    for layer in layers:
        with np.errstate(over="ignore"):
            values = np.array(layer, dtype=np.float32, order="C")
        values += 0  # turns -0 into 0
        digest.update(values.data)
    return digest.hexdigest()
