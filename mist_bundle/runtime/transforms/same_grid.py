"""Bring the label of a case onto the storage order of its image, or refuse it: both must lie on the same grid."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform

from ..numerics.same_grid import TOLERANCE_VOXELS, grid_finding, onto_grid
from .volume import FILE_NAME, affine_of, as_volume, meta_of, new_volume, to_ras


class ToGridOfd(MapTransform):
    """Permute and flip volumes so that they are stored as a reference is; comes right after loading.

    Args:
        keys: volumes (1, X, Y, Z).
        reference_key: volume (C, X, Y, Z) whose grid they must share.
        tolerance_voxels: how far apart the same voxel may lie, in units of the finest voxel side.
        allow_missing_keys: leave out what a case does not have.

    Raises:
        ValueError: on a volume that lies on another grid, however it is turned.
    """

    def __init__(
        self,
        keys: KeysCollection = "label",
        reference_key: str = "image",
        tolerance_voxels: float = TOLERANCE_VOXELS,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.reference_key = reference_key
        self.tolerance_voxels = tolerance_voxels

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        result = dict(data)
        reference = result[self.reference_key]
        grid = to_ras(affine_of(reference), reference), as_volume(reference, self.reference_key).shape[1:]
        for key in self.key_iterator(result):
            volume = result[key]
            array, affine = as_volume(volume, key)[0], to_ras(affine_of(volume), volume)
            turned, turned_affine = onto_grid(array, affine, *grid, self.tolerance_voxels)
            names = _name(volume, key), _name(reference, self.reference_key)
            finding = grid_finding(
                names[0], turned_affine, turned.shape, names[1], *grid, tolerance_voxels=self.tolerance_voxels
            )
            if finding:
                raise ValueError(finding)
            if turned is not array:
                result[key] = new_volume(
                    turned[None],
                    volume,
                    to_ras(turned_affine, volume),
                    original_affine=turned_affine,
                    spatial_shape=turned.shape,
                )
        return result


def _name(volume: Any, key: Hashable) -> str:
    file_name = meta_of(volume).get(FILE_NAME)
    return str(key) if file_name is None else Path(str(file_name)).name
