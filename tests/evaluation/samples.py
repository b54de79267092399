"""Label maps on the disk."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np


def save_label(path: Path, label: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """Write a label map; fractions stay fractions."""
    path.parent.mkdir(exist_ok=True, parents=True)
    whole = np.array_equal(label, label.astype(np.uint8))
    array = label.astype(np.uint8 if whole else np.float32)
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path
