"""Apply the bundle's post-processing to a predicted label map, on the grid of the patient's image."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from ..numerics.grid import spacing_of
from ..postprocessing.strategy import apply_strategy, parse_strategy, read_strategy
from .volume import affine_of, as_volume, new_volume


class ApplyPostprocessingd(MapTransform):
    """Post-process label maps (1, X, Y, Z) of whole numbers, in place of the raw label maps.

    Args:
        keys: label maps, restored to the original grid: sizes in mm³ are those of the patient.
        strategy_path: JSON file with the steps (see postprocessing/strategy.py).
        strategy: the steps themselves, instead of a file.
        allow_missing_keys: leave out what a case does not have.

    Raises:
        ValueError: the steps are wrong; the message names everything.
        OSError: there is no such file.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        strategy_path: str | None = None,
        strategy: Sequence[Mapping[str, Any]] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if (strategy_path is None) == (strategy is None):
            msg = "Set either strategy_path or strategy."
            raise ValueError(msg)
        self.steps = parse_strategy(strategy) if strategy_path is None else read_strategy(strategy_path)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The dictionary of the case with its label maps post-processed."""
        result = dict(data)
        if not self.steps:
            return result
        for key in self.key_iterator(result):
            volume = result[key]
            label = as_volume(volume, key)[0]
            changed = apply_strategy(label, spacing_of(affine_of(volume)).tolist(), self.steps)
            if changed is label:
                continue
            kind = label.dtype if changed.dtype.itemsize <= label.dtype.itemsize else np.dtype(np.int64)
            processed = new_volume(changed.astype(kind)[None], volume)
            result[key] = processed if isinstance(volume, torch.Tensor) else processed.numpy()
        return result
