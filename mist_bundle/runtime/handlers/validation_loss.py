"""The loss on validation cases: the same loss as in training, on patches that stay the same in every epoch.

Whole volumes are predicted as class indices, to keep their memory bounded, and a loss needs the scores. So the loss is
measured on patches of the training's size: two a case, the first around a voxel of the foreground and the second
anywhere (nnU-Net measures its validation loss on patches, too). Without augmentation, and of the network that is
evaluated, it can be compared between epochs, and with the training loss in its tendency.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from monai.networks.utils import eval_mode
from numpy.typing import NDArray
from torch import nn

from ..folds.state import VALIDATION_LOSS
from ..loading.volumes import open_array, read_region
from ..numerics.triples import Triple, triple

MAPS_PATH = "dtm_path"  # of an item: the file of its distance maps
Target = torch.Tensor | dict[str, torch.Tensor]


class ValidationLoss:
    """Measure the loss on fixed patches of the validation cases; the mean becomes the metric "val_loss".

    It draws no number from the generators of the training, which therefore goes the same way with or without it.

    Args:
        network: the network that is evaluated.
        loss: takes scores (B, C, X, Y, Z) and class indices (B, 1, X, Y, Z); or, where the items have a "dtm_path",
            {"label": class indices, "dtm": distance maps (B, C, X, Y, Z)}.
        inferer: called as `inferer(image, network)`; the training's, with its precision.
        patch_size: voxels of a patch.
        device: where the network runs.
        seed: together with a case's id decides where its patches lie.
        ignore_index: voxels with this or a higher index have no known class; they are not foreground.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[..., torch.Tensor],
        inferer: Callable[..., Any],
        patch_size: Sequence[int],
        device: torch.device | str,
        seed: int = 0,
        ignore_index: int | None = None,
    ) -> None:
        # without the wrapper for several processes: their numbers of cases differ, and it may wait for the others
        self.network = getattr(network, "module", network)
        self.loss = loss
        self.inferer = inferer
        self.patch_size = triple(patch_size)
        self.device = torch.device(device)
        self.seed = seed
        self.ignore_index = ignore_index
        self._sum, self._count = 0.0, 0

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedEvaluator."""
        engine.add_event_handler(Events.STARTED, self._started)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._measure)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _started(self) -> None:
        self._sum, self._count = 0.0, 0

    def _measure(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        for item in batch:
            for loss in self._losses(item):
                if math.isfinite(loss):
                    self._sum += loss
                    self._count += 1

    def _losses(self, item: Mapping[str, Any]) -> list[float]:
        image, label = _array(item["image"]), _array(item["label"])
        maps = open_array(Path(item[MAPS_PATH])) if MAPS_PATH in item else None
        losses = []
        for start in self._starts(str(item["id"]), label[0]):
            patch = self._cut(image, start).float()
            labels = self._cut(label, start)
            target: Target = labels
            if maps is not None:  # only the patches are read: there is a map for every class
                target = {"label": labels, "dtm": self._cut(maps, start)}
            with eval_mode(self.network):
                scores = self.inferer(patch, self.network)
                losses.append(float(self.loss(scores, target)))
        return losses

    def _starts(self, case: str, label: NDArray[Any]) -> list[Triple]:
        """First voxels of the patches of a case: around a voxel of its foreground, if it has any, and anywhere."""
        generator = np.random.default_rng((self.seed, zlib.crc32(case.encode())))
        is_foreground = label > 0
        if self.ignore_index is not None:
            is_foreground &= label < self.ignore_index
        voxels = np.flatnonzero(is_foreground)
        starts = []
        if voxels.size:
            centre = np.unravel_index(voxels[generator.integers(voxels.size)], label.shape)
            corner = np.asarray(centre) - np.asarray(self.patch_size) // 2
            starts.append(self._inside(corner.tolist(), label.shape))
        corner = generator.integers(label.shape)
        starts.append(self._inside(corner.tolist(), label.shape))
        return starts

    def _inside(self, corner: Sequence[int], shape: Sequence[int]) -> Triple:
        """The nearest place where the patch lies inside the volume; centred where it is larger than the volume."""
        start = []
        for first, size, length in zip(corner, self.patch_size, shape, strict=True):
            room = length - size
            start.append(min(max(first, 0), room) if room > 0 else -((size - length) // 2))
        return triple(start)

    def _cut(self, array: NDArray[Any], start: Triple) -> torch.Tensor:
        patch = read_region(array, start, self.patch_size, (False, False, False))
        return torch.from_numpy(np.ascontiguousarray(patch))[None].to(self.device)

    def _finish(self, engine: Engine) -> None:
        total, count = self._sum, self._count
        if dist.is_available() and dist.is_initialized():
            sums = torch.tensor([total, float(count)], dtype=torch.float64, device=self.device)
            dist.all_reduce(sums)
            total, count = float(sums[0]), int(sums[1])
        if count:
            engine.state.metrics[VALIDATION_LOSS] = total / count


def _array(volume: Any) -> NDArray[Any]:
    array: NDArray[Any] = torch.as_tensor(volume).detach().cpu().numpy()
    return array
