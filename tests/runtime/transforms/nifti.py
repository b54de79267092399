"""Small NIfTI cases on the disk for the transform tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray


def write_nifti(path: Path, array: NDArray[Any], affine: NDArray[Any], qform: int = 1, sform: int = 1) -> Path:
    """Write an (X, Y, Z) array with the given form codes, in millimetres."""
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, qform)
    image.set_sform(affine, sform)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def brain_like(label: NDArray[Any], seed: int = 0) -> NDArray[np.float32]:
    """An image with zeros all around, tissue in the middle and a brightness for each label."""
    rng = np.random.default_rng(seed)
    shape = label.shape
    grid = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n - 0.5 for n in shape], indexing="ij"))
    head = (grid**2).sum(axis=0) < 0.45**2
    image = np.where(head, 200 + 60.0 * label + rng.normal(0, 10, shape), 0)
    return image.astype(np.float32)
