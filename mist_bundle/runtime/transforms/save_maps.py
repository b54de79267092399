"""Write maps of probabilities and of uncertainty while they are restored: no map is ever whole in memory."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from monai.transforms import MapTransform

from ..folds.files import write_whole
from ..numerics.scores_on_disk import ScoresOnDisk
from ..predictions.maps import ScoreMaps
from ..predictions.records import UNCERTAINTY_MAPS, Predictions, probabilities_path, uncertainty_path
from .save import case_name, compressed, nifti_header
from .volume import meta_of, original_grid


class SaveMapsd(MapTransform):
    """Write the maps of the case that was predicted last.

    Probabilities (X, Y, Z, C) go to `probabilities/<id>.nii.gz`, background first; outside of what was predicted the
    background is 1. Entropy and disagreement go to `uncertainty/<id>_entropy.nii.gz` and `…_disagreement.nii.gz`;
    outside they are 0. All are float32 on the grid of the file, with its header.

    Args:
        maps: filled by the inferer.
        num_classes: channels of the network.
        exclusive: False for regions that may overlap, which have no background among them.
        reference_key: the prepared image, whose meta dictionary tells header and grid.
        id_key: entry of the case that gives the files their name.
        predictions: writes them in the background.
    """

    def __init__(
        self,
        maps: ScoreMaps,
        num_classes: int,
        exclusive: bool = True,
        reference_key: str = "image",
        id_key: str = "id",
        predictions: Predictions | None = None,
    ) -> None:
        super().__init__([reference_key])
        self.maps = maps
        self.num_classes = int(num_classes)
        self.exclusive = exclusive
        self.reference_key = reference_key
        self.id_key = id_key
        self.predictions = predictions

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the files; the dictionary of the case stays as it is."""
        reference = data[self.reference_key]
        write = partial(self._write_all, case_name(data, self.id_key, reference), self.maps.take(), reference)
        if self.predictions is None:
            write()
        else:
            self.predictions.writer.put(write.args[0], write)
        return dict(data)

    def _write_all(self, case: str, scores: ScoresOnDisk, reference: Any) -> None:
        try:
            if self.maps.probabilities:
                channels = range(self.num_classes)
                self._write(probabilities_path(self.maps.folder, case), scores, channels, reference)
            if self.maps.uncertainty:
                first = self.num_classes if self.maps.probabilities else 0
                for channel, name in enumerate(UNCERTAINTY_MAPS, start=first):
                    self._write(uncertainty_path(self.maps.folder, case, name), scores, [channel], reference)
        finally:
            scores.close()

    def _write(self, path: Path, scores: ScoresOnDisk, channels: Sequence[int], reference: Any) -> None:
        affine, _ = original_grid(reference, self.reference_key)
        shape = scores.shape if len(channels) == 1 else (*scores.shape, len(channels))
        header = nifti_header(shape, np.dtype(np.float32), affine, reference, meta_of(reference))

        def write(stream: IO[bytes]) -> None:
            with compressed(stream) as packed:
                header.write_to(packed)
                for channel in channels:
                    is_background = self.exclusive and self.maps.probabilities and channel == 0
                    for slab in scores.slabs(channel, outside=float(is_background)):
                        packed.write(slab.ravel(order="F").data)

        write_whole(path, write)
