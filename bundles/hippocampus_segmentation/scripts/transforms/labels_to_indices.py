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

from .volume import as_volume, describe, new_volume

# Scaled NIfTI files hold 2.9999998 for 3; anything further off is not a label.
_ROUNDING = 1e-3
_NUM_SHOWN = 10
# Voxels handled at a time: what fits into a processor's cache is done several times faster.
_CHUNK = 1 << 16


class LabelsToIndicesd(MapTransform):
    """Replace every label value by its position in `labels`.

    Args:
        keys: label volumes (1, X, Y, Z).
        labels: label values; the first is the background.
        allow_missing_keys: leave cases without a label alone.

    Raises:
        ValueError: on a volume that holds a value not in `labels`; the message names it.

    Example: ``LabelsToIndicesd(keys="label", labels=[0, 1, 2, 4])`` turns BraTS's 4 into 3.
    """

    def __init__(self, keys: KeysCollection, labels: Sequence[int], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if len(set(labels)) != len(labels) or not labels:
            msg = f"Labels must be different from each other and at least one, but got {list(labels)}."
            raise ValueError(msg)
        self.labels = [int(label) for label in labels]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of one case; what it does not name stays as it is."""
        result = dict(data)
        for key in self.key_iterator(result):
            array = as_volume(result[key], key)
            indices, unknown = _indices(array, self.labels)
            if unknown.size:
                shown = ", ".join(f"{value:g}" for value in unknown[:_NUM_SHOWN])
                more = f" and {unknown.size - _NUM_SHOWN} more" if unknown.size > _NUM_SHOWN else ""
                msg = (
                    f"{describe(result[key], key)} holds {shown}{more}, but the labels are {self.labels}. "
                    "Add the value to the labels of the dataset, or correct the file."
                )
                raise ValueError(msg)
            result[key] = new_volume(indices, result[key])
        return result


def _indices(array: NDArray[Any], labels: Sequence[int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Class indices, and the values that are no label."""
    lowest, highest = min(labels), max(labels)
    # A table from value to index, with one more entry at either end that catches all values beyond the labels.
    table = np.full(highest - lowest + 3, -1, dtype=np.int32)
    table[np.asarray(labels) - lowest + 1] = np.arange(len(labels))
    result = np.empty(array.shape, dtype=np.uint8 if len(labels) <= 256 else np.int16)
    flat, out = array.reshape(-1), result.reshape(-1)
    unknown = set()
    for start in range(0, flat.size, _CHUNK):
        values = flat[start : start + _CHUNK].astype(np.float64)
        whole = np.rint(values)
        entry = np.clip(whole, lowest - 1, highest + 1) - (lowest - 1)
        with np.errstate(invalid="ignore"):
            entry[~(np.abs(values - whole) <= _ROUNDING)] = 0  # also what is infinite or not a number
        indices = table[entry.astype(np.int64)]
        unknown.update(values[indices < 0].tolist())
        out[start : start + _CHUNK] = indices
    return result, np.unique(list(unknown))
