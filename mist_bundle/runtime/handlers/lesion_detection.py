"""How many lesions a training finds: lesion-wise F1 of each class, after every validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from ignite.engine import Engine, Events

from ..metrics.pair import MaskPair

LESION_F1 = "lesion_f1"
# every lesion counts, whatever its size, and a component belongs to the lesions that it touches
_MATCHING: dict[str, Any] = {"min_volume_mm3": 0, "dilation": 0, "consolidation": 0}
_VOXEL = (1.0, 1.0, 1.0)


class LesionDetection:
    """Count found, missed and false lesions of the validation cases, in the prepared grid.

    `evaluator.state.lesion_f1` is then {class: 2 TP / (2 TP + FP + FN)} over all cases together; a class without any
    lesion, real or predicted, is left out.

    Args:
        classes: name -> indices of its voxels, as in the prepared label.
        device: that processes exchange their counts on.
        ignore_index: index in the label of voxels that do not count.
    """

    def __init__(
        self,
        classes: Mapping[str, Sequence[int]],
        device: torch.device | str = "cpu",
        ignore_index: int | None = None,
    ) -> None:
        self.classes = {name: list(indices) for name, indices in classes.items()}
        self.device = torch.device(device)
        self.ignore_index = ignore_index
        self._counts = np.zeros((len(self.classes), 3), dtype=np.int64)  # found, missed, false

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedEvaluator whose predictions are class indices."""
        engine.add_event_handler(Events.STARTED, self._started)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._count)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _started(self) -> None:
        self._counts[:] = 0

    def _count(self, engine: Engine) -> None:
        outputs: Any = engine.state.output
        for output in outputs:
            prediction = torch.as_tensor(output["pred"]).cpu().numpy()[0]
            label = torch.as_tensor(output["label"]).cpu().numpy()[0]
            counted = np.True_ if self.ignore_index is None else label != self.ignore_index
            for row, indices in enumerate(self.classes.values()):
                predicted = np.isin(prediction, indices) & counted
                match = MaskPair(predicted, np.isin(label, indices), _VOXEL).lesions.match(**_MATCHING)
                missed = match.num_false_negatives
                self._counts[row] += (len(match.lesions) - missed, missed, match.num_false_positives)

    def _finish(self, engine: Engine) -> None:
        counts = torch.from_numpy(self._counts.copy()).to(self.device)
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(counts)
        scores = {}
        for name, (found, missed, false) in zip(self.classes, counts.tolist(), strict=True):
            if found + missed + false:
                scores[name] = 2 * found / (2 * found + missed + false)
        setattr(engine.state, LESION_F1, scores)
