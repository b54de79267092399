"""Whole preprocessed volumes for validation, through MONAI's DataLoader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from torch.utils.data import Dataset

from .cache import ArrayCache, item_id, warn_of_left_out


class CachedDataset(Dataset[dict[str, Any]]):
    """The cases of a list, preprocessed and taken from the cache (built there where missing).

    An item is {"image": (C, X, Y, Z) float32, "label": (1, X, Y, Z), "id": str}; the arrays are MetaTensors with the
    affine of the preprocessed grid. Of the arrays in `mapped` it has the file, {"dtm_path": str}.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        cache: ArrayCache,
        keys: Sequence[str] = ("image", "label"),
        mapped: Sequence[str] = (),
    ) -> None:
        """Take the list; nothing is read before the first item is requested.

        Args:
            data: items {"id", "image", "label"} with the raw files' paths.
            cache: must hold `keys`.
            keys: the arrays to give out.
            mapped: arrays of which only parts will be read, from their files; see `open_array`.
        """
        lacking = sorted({*keys, *mapped} - set(cache.keys))
        if lacking:
            message = f"the cache holds {list(cache.keys)}, but not {lacking}."
            raise ValueError(message)
        self.data = data
        self.cache = cache
        self.keys = tuple(keys)
        self.mapped = tuple(mapped)

    def prepare(self, rank: int = 0) -> None:
        """Build what the cache lacks, several cases at a time, and leave out what cannot be prepared, with a warning.

        Raises:
            CacheBuildError: no case is left.
        """
        _, failures = self.cache.build_usable(self.data)
        warn_of_left_out(failures, len(self.data), "validation", rank=rank)
        self.data = [item for item in self.data if item_id(item) not in failures]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self.data[index]
        entry = self.cache.get(item)
        affine = torch.tensor(entry.affine, dtype=torch.float64)
        result: dict[str, Any] = {"id": item_id(item)}
        for key in self.keys:
            array = np.array(entry.array(key))  # a copy: the mapped array is read-only
            result[key] = MetaTensor(torch.from_numpy(array), affine=affine)
        for key in self.mapped:
            result[f"{key}_path"] = str(entry.path(key))
        return result
