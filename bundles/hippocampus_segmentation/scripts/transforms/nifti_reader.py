"""Read the channels of a case although their headers differ in the last digits.

MONAI's own reader refuses to stack files whose affines differ by more than about 1e-8, which the rounding of any tool
that rewrote one of them exceeds. What matters is whether the voxels coincide.
"""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
from monai.data.image_reader import NibabelReader
from monai.utils import ensure_tuple
from numpy.typing import NDArray

from ..numerics.grid import largest_distance


class NiftiReader(NibabelReader):
    """MONAI's NIfTI reader, which takes several files as channels when their voxels coincide up to a tolerance.

    The first file gives the affine and all other meta entries.

    Args:
        tolerance_voxels: how far apart the same voxel may lie in two files, in units of the finest voxel side.
        kwargs: as for ``monai.data.NibabelReader``.

    Raises:
        ValueError: on reading files that differ in shape, or in place by more than the tolerance.

    Example: ``{"_target_": "LoadImaged", "keys": "image", "reader": "scripts.transforms.nifti_reader.NiftiReader"}``
    """

    def __init__(self, tolerance_voxels: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tolerance_voxels = tolerance_voxels

    def get_data(self, img: Any) -> tuple[NDArray[Any], dict[Any, Any]]:
        """Values and meta dictionary of one opened file, or of several as channels."""
        images = list(ensure_tuple(img))
        first = images[0]
        for position, other in enumerate(images[1:], start=1):
            # names come from the files themselves: threads that share this reader overwrite its `filenames`
            self._check(first, other, str(first.get_filename()), str(other.get_filename()))
            # The values stay on the disk until they are asked for.
            images[position] = nib.Nifti1Image(other.dataobj, first.affine, other.header)
        values, meta = super().get_data(images)
        return values, meta

    def _check(self, first: Any, other: Any, first_name: str, other_name: str) -> None:
        if first.shape != other.shape:
            msg = (
                f"The channels of a case must share one grid, but {first_name} has shape {first.shape} "
                f"and {other_name} has {other.shape}."
            )
            raise ValueError(msg)
        distance = largest_distance(first.affine, other.affine, first.shape[:3])
        side = float(np.linalg.norm(first.affine[:3, :3], axis=0).min())
        if distance > self.tolerance_voxels * side:
            msg = (
                f"The channels of a case must share one grid, but voxels of {other_name} lie up to {distance:.4g} mm "
                f"away from those of {first_name} (allowed: {self.tolerance_voxels * side:.4g} mm). "
                "Resample one onto the other."
            )
            raise ValueError(msg)
