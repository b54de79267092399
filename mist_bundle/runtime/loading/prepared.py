"""From the result of the preprocessing to the files of a cache entry: arrays of known types, positions of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .integrity import save_array
from .volumes import VOXELS_FILE, StoredClass

MAX_VOXELS_PER_CLASS = 10_000
_NO_VOXELS = np.zeros((0, 3), np.int16)


def prepared_arrays(result: Mapping[str, Any], keys: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The arrays (C, X, Y, Z) of a preprocessed case: labels as small integers, everything else as float32.

    Raises:
        ValueError: an array is missing, is not of that shape, or holds values that nothing can be learned from.
    """
    arrays = {}
    shapes = {}
    for key in keys:
        arrays[key] = _array(result, key)
        shapes[key] = arrays[key].shape[1:]
    if len(set(shapes.values())) > 1:
        message = f"the preprocessed arrays differ in shape: {shapes}."
        raise ValueError(message)
    return arrays


def write_arrays(
    folder: Path,
    arrays: Mapping[str, NDArray[Any]],
    *,
    ignore_index: int | None,
    seed: int,
    balance_instances: bool = False,
) -> dict[str, Any]:
    """Write each array and the positions of the classes' voxels; what entry.json has to say about them.

    Args:
        folder: where to; exists.
        arrays: by key, "label" perhaps among them.
        ignore_index: voxels with this or a higher index belong to no class, and no patch shall be laid around them.
        seed: of the choice among very many voxels of a class.
        balance_instances: store the same number of voxels of each connected part of a class.
    """
    stored = {}
    for key, array in arrays.items():
        stored[f"{key}.npy"] = save_array(folder / f"{key}.npy", array)
    voxels = _NO_VOXELS
    classes: list[StoredClass] = []
    label = arrays.get("label")
    if label is not None:
        labelled = label if ignore_index is None else label * (label < ignore_index)
        voxels, classes = _locate_classes(labelled, seed, balance_instances=balance_instances)
    stored[VOXELS_FILE] = save_array(folder / VOXELS_FILE, voxels)
    first = next(iter(arrays.values()))
    return {
        "shape": list(first.shape[1:]),
        "classes": list(map(asdict, classes)),
        "stored": stored,
    }


def _array(result: Mapping[str, Any], key: str) -> NDArray[Any]:
    if key not in result:
        message = f"the preprocessed case has no '{key}'; it holds {sorted(map(str, result))}."
        raise ValueError(message)
    array = _numpy(result[key])
    if array.ndim != 4:
        message = f"'{key}' must be (C, X, Y, Z) after preprocessing, but has shape {array.shape}."
        raise ValueError(message)
    if key == "label":
        return _label_array(array)
    array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        message = f"'{key}' holds NaN or infinite values after preprocessing."
        raise ValueError(message)
    return array


def _label_array(array: NDArray[Any]) -> NDArray[Any]:
    if array.shape[0] != 1:
        message = f"'label' must have a single channel of class indices, but has {array.shape[0]} channels."
        raise ValueError(message)
    low, high = array.min(), array.max()
    if array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):
        raise ValueError("'label' holds values that are not integers after preprocessing.")
    if low < 0 or high > np.iinfo(np.int16).max:
        message = f"'label' must hold class indices from 0 to 32767, but its values reach from {low} to {high}."
        raise ValueError(message)
    return np.ascontiguousarray(array, dtype=np.uint8 if high <= np.iinfo(np.uint8).max else np.int16)


def _locate_classes(
    label: NDArray[Any], seed: int, *, balance_instances: bool
) -> tuple[NDArray[Any], list[StoredClass]]:
    """Positions of (at most MAX_VOXELS_PER_CLASS, chosen at random) voxels of each class, and a table of them."""
    flat = label[0].ravel()
    positions = np.flatnonzero(flat)
    values = flat[positions]
    order = np.argsort(values, kind="stable")
    indices, firsts, counts = np.unique(values[order], return_index=True, return_counts=True)
    rng = np.random.default_rng(seed)
    chosen, classes, row = [], [], 0
    for index, first, count in zip(indices.tolist(), firsts.tolist(), counts.tolist(), strict=True):
        rows = positions[order[first : first + count]]
        if balance_instances:
            rows = _balanced(rows, label.shape[1:], rng)
        elif count > MAX_VOXELS_PER_CLASS:
            rows = np.sort(rng.choice(rows, MAX_VOXELS_PER_CLASS, replace=False))
        chosen.append(rows)
        classes.append(StoredClass(index=index, first_row=row, num_rows=len(rows), num_voxels=count))
        row += len(rows)
    if not chosen:
        return _NO_VOXELS, []
    shape = label.shape[1:]
    dtype = np.int16 if max(shape) <= np.iinfo(np.int16).max else np.int32
    return np.stack(np.unravel_index(np.concatenate(chosen), shape), axis=1).astype(dtype), classes


def _balanced(positions: NDArray[np.int64], shape: Sequence[int], rng: np.random.Generator) -> NDArray[np.int64]:
    """Flat positions of a class -> as many of each instance, which is a part connected by faces, edges or corners.

    Voxels of small instances repeat. A row drawn uniformly is then a voxel of an instance drawn uniformly.
    """
    mask = np.zeros(int(np.prod(shape)), dtype=bool)
    mask[positions] = True
    numbers, count = ndimage.label(mask.reshape(shape), structure=np.ones((3, 3, 3), dtype=bool))
    number_of_each = numbers.ravel()[positions]
    by_instance = np.argsort(number_of_each, kind="stable")
    firsts = np.searchsorted(number_of_each[by_instance], np.arange(2, count + 1))
    instances = np.split(positions[by_instance], firsts)
    if count > MAX_VOXELS_PER_CLASS:
        kept = np.sort(rng.choice(count, MAX_VOXELS_PER_CLASS, replace=False))
        instances = [instances[number] for number in kept]
    each = min(max(map(len, instances)), MAX_VOXELS_PER_CLASS // len(instances))
    chosen = []
    for members in instances:
        chosen.append(rng.choice(members, each, replace=len(members) < each))
    return np.sort(np.concatenate(chosen))


def affine_rows(image: Any) -> list[list[float]]:
    """The 4x4 affine of a MetaTensor, row by row; that of voxels where it carries none."""
    affine = getattr(image, "affine", None)
    matrix = np.eye(4) if affine is None else _numpy(affine).astype(np.float64)
    rows: list[list[float]] = matrix.tolist()
    return rows


def _numpy(value: Any) -> NDArray[Any]:
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
