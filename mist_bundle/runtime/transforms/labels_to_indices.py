"""Label values, whatever integers they are, to class indices 0 ... C - 1.

Done once, right after reading, so that no later step has to know the values; `RestoreSegmentationd` maps back, once.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from numpy.typing import NDArray

from ..numerics.labels import as_labels, not_labels
from ..wording import list_names
from .volume import as_volume, describe, new_volume

UNLABELLED = "unlabelled"  # entry of a case that names the labels that were not annotated in it
_MAX_TABLE = 1 << 20  # label values up to here are looked up in a table, larger values searched
# Voxels handled at a time: what fits into a processor's cache is done several times faster.
_CHUNK = 1 << 16


class LabelsToIndicesd(MapTransform):
    """Replace every label value by its position in `labels`.

    Args:
        keys: label volumes (1, X, Y, Z).
        labels: label values; the first is the background.
        allow_missing_keys: leave cases without a label alone.
        mixed: for datasets in which some cases were annotated only in part: the labels that were not annotated, as
            text like "2,3" -> the index of voxels that may be background or any of them. It replaces the background
            and these labels in the cases whose entry `unlabelled` is that text.

    Raises:
        ValueError: on a volume that holds a value not in `labels`; the message names it.

    Example: ``LabelsToIndicesd(keys="label", labels=[0, 1, 2, 4])`` turns BraTS's 4 into 3.
    """

    def __init__(
        self,
        keys: KeysCollection,
        labels: Sequence[int],
        allow_missing_keys: bool = False,
        mixed: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if len(set(labels)) != len(labels) or not labels:
            msg = f"Labels must be different from each other and not empty, but got {list(labels)}."
            raise ValueError(msg)
        self.labels = list(map(int, labels))
        self.mixed = dict(mixed or {})

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        result = dict(data)
        for key in self.key_iterator(result):
            array = as_volume(result[key], key)
            indices, unknown = _indices(array, self.labels)
            if unknown.size:
                values = list_names([f"{value:.10g}" for value in unknown])
                msg = (
                    f"{describe(result[key], key)} holds {values}, but the labels are {self.labels}. "
                    "Add the value to the labels of the dataset, or correct the file."
                )
                raise ValueError(msg)
            unlabelled = str(data.get(UNLABELLED) or "")
            if unlabelled:
                indices = self._with_mixed(indices, unlabelled)
            result[key] = new_volume(indices, result[key])
        return result

    def _with_mixed(self, indices: NDArray[Any], unlabelled: str) -> NDArray[Any]:
        if unlabelled not in self.mixed:
            msg = (
                f"the labels {unlabelled} were not annotated in this case, but the bundle was configured for cases "
                f"without {' or '.join(self.mixed) or 'any such labels'}. Configure it again with these data."
            )
            raise ValueError(msg)
        unknown = [0]
        for label in unlabelled.split(","):
            unknown.append(self.labels.index(int(label)))
        mixed = self.mixed[unlabelled]
        if mixed > np.iinfo(indices.dtype).max:
            indices = indices.astype(np.int16)
        indices[np.isin(indices, unknown)] = mixed
        return indices


def _indices(array: NDArray[Any], labels: Sequence[int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Class indices, and the values that are not labels."""
    whole = as_labels(array)
    if whole.dtype.kind == "f":
        broken = not_labels(array)
        others = _indices(as_labels(array[~broken]), labels)[1]
        return np.zeros(array.shape, np.uint8), np.union1d(array[broken], others)
    known, order = np.unique(np.asarray(labels, dtype=np.int64), return_inverse=True)
    index_of = np.argsort(order)  # of each value in sorted order, its place in `labels`
    result = np.empty(whole.shape, dtype=np.uint8 if len(labels) <= 256 else np.int16)
    flat, out = whole.reshape(-1), result.reshape(-1)
    lookup = _by_table if known[-1] - known[0] < _MAX_TABLE else _by_search
    unknown: set[int] = set()
    for start in range(0, flat.size, _CHUNK):
        values = flat[start : start + _CHUNK].astype(np.int64)
        positions = lookup(values, known)
        missing = positions < 0
        if missing.any():
            unknown.update(np.unique(values[missing]).tolist())
        out[start : start + _CHUNK] = index_of[positions]
    return result, np.array(sorted(unknown))


def _by_table(values: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each value among the known values, -1 where it is not."""
    # An extra entry at either end catches all values beyond the labels.
    table = np.full(int(known[-1] - known[0]) + 3, -1, dtype=np.int64)
    table[known - known[0] + 1] = np.arange(len(known))
    return np.asarray(table[np.clip(values, known[0] - 1, known[-1] + 1) - (known[0] - 1)])


def _by_search(values: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same without a table, for values that lie far apart."""
    positions = np.clip(np.searchsorted(known, values), 0, len(known) - 1)
    return np.where(known[positions] == values, positions, -1)
