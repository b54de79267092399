"""Score each predicted label map against its reference, in its own grid, and write results.csv at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as dist
from ignite.engine import Engine, Events

from ..metrics.case import score_case
from ..metrics.table import write_results


class ScoreCases:
    """Collect one row per case, from all processes, and write the table.

    Args:
        output_path: the results.csv.
        final_classes: name of each class to its label values.
        metrics: names of the metrics.
        key: of the predicted label map (1, X, Y, Z), restored to the grid of the reference.
        reference_key: of the path of the reference label map.
        rank: only rank 0 writes.
        ignore_label: value in the reference of voxels that do not count.
    """

    def __init__(
        self,
        output_path: str,
        final_classes: Mapping[str, Sequence[int]],
        metrics: Sequence[str] = ("dice", "hd95"),
        key: str = "pred",
        reference_key: str = "label",
        rank: int = 0,
        ignore_label: int | None = None,
    ) -> None:
        self.output_path = Path(output_path)
        self.final_classes = {name: tuple(labels) for name, labels in final_classes.items()}
        self.metrics = tuple(metrics)
        self.key = key
        self.reference_key = reference_key
        self.rank = rank
        self.ignore_label = ignore_label
        self.rows: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedEvaluator."""
        engine.add_event_handler(Events.STARTED, self._started)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._score)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _started(self) -> None:
        self.rows = []

    def _score(self, engine: Engine) -> None:
        items: Any = engine.state.batch
        outputs: Any = engine.state.output
        for item, output in zip(items, outputs, strict=True):
            self.rows.append(self._row(item, output))

    def _row(self, item: Mapping[str, Any], output: Mapping[str, Any]) -> dict[str, Any]:
        import nibabel

        image = nibabel.load(str(item[self.reference_key]))
        reference = np.asarray(image.dataobj)  # type: ignore[attr-defined]
        prediction = output[self.key][0].cpu().numpy()
        if reference.shape != prediction.shape:
            raise ValueError(
                f"{item[self.reference_key]}: shape {reference.shape}, but the prediction has {prediction.shape}."
            )
        if self.ignore_label is not None:
            known = reference != self.ignore_label
            reference, prediction = reference * known, prediction * known
        spacing_mm = tuple(float(size) for size in image.header.get_zooms()[:3])  # type: ignore[attr-defined]
        scores = score_case(prediction, reference, spacing_mm, self.final_classes, self.metrics)
        return {"id": str(item["id"]), **scores}

    def _finish(self, engine: Engine) -> None:
        rows = self.rows
        if dist.is_available() and dist.is_initialized():
            gathered: list[list[dict[str, Any]]] = [[] for _ in range(dist.get_world_size())]
            dist.all_gather_object(gathered, self.rows)
            rows = [row for part in gathered for row in part]
        rows = list({row["id"]: row for row in rows}.values())  # uneven shards may repeat a case
        for name in {key for row in rows for key in row} - {"id"}:
            engine.state.metrics[name] = float(np.nanmean([row[name] for row in rows]))
        if self.rank == 0:
            write_results(self.output_path, rows)
