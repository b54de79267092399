"""The few steps that all transforms share: array and grid out of a MetaTensor, and a MetaTensor with a new grid back.

Volumes are (C, X, Y, Z). The grid of the user's file stays in the meta dictionary, under the keys that
MONAI's readers fill ("original_affine", "spatial_shape"), and under `CROP_BOX` and `NEAREST_AXIS`, so that predictions
find their way back.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray

from ..numerics.grid import Affine, Shape, as_affine, as_shape

ORIGINAL_AFFINE = "original_affine"
SPATIAL_SHAPE = "spatial_shape"
CROP_BOX = "crop_box"
NEAREST_AXIS = "nearest_axis"  # axis of the prepared grid along which scores return by the nearest voxel; -1 for none
FILE_NAME = "filename_or_obj"
HEADER_WARNINGS = "header_warnings"  # what is odd in the headers of a case's files, a line each
UNIT_IN_MM = "unit_in_mm"  # millimetres in the unit of the header's own fields; the affine is in millimetres

# From the world axes of an LPS affine to those of a RAS affine.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def as_volume(data: Any, name: Hashable) -> NDArray[Any]:
    """The values of a (C, X, Y, Z) tensor or array as numpy, without a copy where that is possible.

    Raises:
        ValueError: it does not have four axes.
    """
    if isinstance(data, torch.Tensor):
        # A MetaTensor's own conversion would carry the meta dictionary along; numpy knows no bfloat16.
        plain = data.detach().as_subclass(torch.Tensor).cpu()
        array = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    else:
        array = np.asarray(data)
    if array.ndim != 4:
        msg = (
            f"{describe(data, name)} must have the axes (channel, x, y, z), but has shape {array.shape}. "
            "Load it with ensure_channel_first, and use 3D volumes only."
        )
        raise ValueError(msg)
    return array


def affine_of(data: Any) -> Affine:
    """Affine of a MetaTensor; identity for anything that carries none."""
    return as_affine(data.affine) if isinstance(data, MetaTensor) else np.eye(4)


def to_ras(affine: Affine, data: Any) -> Affine:
    """An affine of this volume in RAS+ millimetres, also where the reader left the world axes as LPS."""
    return _LPS_TO_RAS @ affine if str(meta_of(data).get("space", "RAS")) == "LPS" else affine


def meta_of(data: Any) -> dict[Any, Any]:
    """Meta dictionary of a MetaTensor; empty for anything else."""
    return dict(data.meta) if isinstance(data, MetaTensor) else {}


def new_volume(
    array: NDArray[Any], like: Any, affine: Affine | None = None, device: str | None = None, **meta: Any
) -> MetaTensor:
    """A MetaTensor with the meta dictionary of another volume.

    Args:
        array: (C, X, Y, Z).
        like: the volume that it is derived from. MONAI's record of applied operations is left behind: these transforms
            are undone by affine (see restore.py), and replaying part of a record would silently end in a wrong grid.
        affine: where it differs from that of `like`.
        device: where the tensor goes; by default to where `like` is.
        meta: entries to add or replace.
    """
    entries = {**meta_of(like), **meta}
    entries["affine"] = torch.as_tensor(affine_of(like) if affine is None else affine, dtype=torch.float64)
    if device is None:
        device = str(like.device) if isinstance(like, torch.Tensor) else "cpu"
    return MetaTensor(torch.from_numpy(np.ascontiguousarray(array)).to(device), meta=entries)


def original_grid(data: Any, name: Hashable) -> tuple[Affine, Shape]:
    """Affine and (X, Y, Z) of the file a volume was loaded from.

    Raises:
        ValueError: the meta dictionary does not tell.
    """
    meta = meta_of(data)
    if ORIGINAL_AFFINE not in meta or SPATIAL_SHAPE not in meta:
        msg = (
            f"{describe(data, name)} does not say what grid it was loaded from (meta entries {ORIGINAL_AFFINE!r} and "
            f"{SPATIAL_SHAPE!r}). Load it with MONAI's LoadImaged and keep it a MetaTensor."
        )
        raise ValueError(msg)
    return as_affine(meta[ORIGINAL_AFFINE]), as_shape(meta[SPATIAL_SHAPE])


def remember_original_grid(data: Any, name: Hashable) -> dict[str, Any]:
    """Meta entries that `original_grid` needs, for volumes whose loader did not leave them."""
    meta = meta_of(data)
    if ORIGINAL_AFFINE in meta and SPATIAL_SHAPE in meta:
        return {}
    return {ORIGINAL_AFFINE: affine_of(data), SPATIAL_SHAPE: np.asarray(as_volume(data, name).shape[1:])}


def check_same_shape(data: Mapping[Hashable, Any], keys: list[Hashable]) -> Shape:
    """(X, Y, Z) that all these volumes of a case share.

    Raises:
        ValueError: they do not.
    """
    shapes = [as_shape(as_volume(data[key], key).shape[1:]) for key in keys]
    if len(set(shapes)) != 1:
        texts = [f"{describe(data[key], key)} has {shape}" for key, shape in zip(keys, shapes, strict=True)]
        msg = f"All volumes of a case must share a grid, but {', '.join(texts)}."
        raise ValueError(msg)
    return shapes[0]


def describe(data: Any, name: Hashable) -> str:
    """How to call a volume in a message: its key, and its file where that is known."""
    file_name = meta_of(data).get(FILE_NAME)
    return f"{name!r}" if file_name is None else f"{name!r} ({file_name})"
