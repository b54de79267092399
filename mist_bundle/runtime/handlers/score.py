"""Score each predicted label map against its reference, on its own grid, and write results.csv at the end.

A case that cannot be scored does not vanish: the others are scored, it is named in results.json, and the run fails.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist
from ignite.engine import Engine, Events

from ..folds.files import sha256_of
from ..metrics.case import EmptyRule, check_metrics, score_case, without_unknown
from ..metrics.table import summarize, write_results
from ..numerics.grid import spacing_of
from ..predictions.case_by_case import CaseByCase
from ..predictions.say import say
from ..reading.formats import read_volume
from ..reading.volume import Volume
from ..transforms.labels_to_indices import UNLABELLED
from ..transforms.volume import affine_of, to_ras


class ScoreCases:
    """Collect a row per case, from all processes, and write the table.

    Args:
        output_path: the results.csv; a JSON file of the same name goes beside it.
        final_classes: name of each class to its label values.
        metrics: names of the metrics.
        options: of metrics, such as {"surface_dice": {"tolerance_mm": 2}}.
        both_empty: "best" or "nan": the value of a class that is in neither label map.
        one_empty: "worst" or "nan": the value of a class that is in only one of them.
        empty_distance_mm: the worst distance; None takes the diagonal of the image.
        labels: all values that may occur; None allows any.
        key: of the predicted label map (1, X, Y, Z), restored to the grid of the reference.
        reference_key: of the path of the reference label map.
        rank: only rank 0 writes.
        ignore_label: value in the reference of voxels that do not count.
        scored_weights: file of the weights that predict; results.json names its hash, so that scores of weights that
            were replaced since can be recognised.
        cases: knows the cases that could not be predicted, and collects those that cannot be scored; without it the
            run ends with an error when a case cannot be scored.

    Raises:
        ValueError: a metric, an option or a rule is unknown; everything that is wrong is named.
    """

    def __init__(
        self,
        output_path: str,
        final_classes: Mapping[str, Sequence[int]],
        metrics: Sequence[str] = ("dice", "hd95"),
        options: Mapping[str, Mapping[str, float]] | None = None,
        both_empty: str = "best",
        one_empty: str = "worst",
        empty_distance_mm: float | None = None,
        labels: Sequence[int] | None = None,
        key: str = "pred",
        reference_key: str = "label",
        rank: int = 0,
        ignore_label: int | None = None,
        cases: CaseByCase | None = None,
        scored_weights: str = "",
    ) -> None:
        self.cases = cases
        self.output_path = Path(output_path)
        self.final_classes = dict(final_classes)
        self.metrics = tuple(metrics)
        self.options = dict(options or {})
        self.empty = EmptyRule(both_empty=both_empty, one_empty=one_empty, distance_mm=empty_distance_mm)
        self.labels = labels
        self.key = key
        self.reference_key = reference_key
        self.rank = rank
        self.ignore_label = ignore_label
        self.scored_weights = Path(scored_weights) if scored_weights else None
        self.digest = ""
        self.rows: list[dict[str, Any]] = []
        self.failed: dict[str, str] = {}
        findings = check_metrics(self.metrics, self.options) + self.empty.findings()
        if findings:
            raise ValueError(" ".join(findings))

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedEvaluator."""
        engine.add_event_handler(Events.STARTED, self._started)
        engine.add_event_handler(Events.ITERATION_STARTED(once=1), self._remove_former)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._score)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _started(self) -> None:
        self.rows, self.failed = [], {}
        self.digest = self._digest()

    def _digest(self) -> str:
        return "" if self.scored_weights is None else sha256_of(self.scored_weights)

    def _remove_former(self) -> None:
        """Remove earlier results: from here on the predictions that they belong to are replaced."""
        if self.rank == 0:
            for path in (self.output_path, self.output_path.with_suffix(".json")):
                path.unlink(missing_ok=True)

    def _score(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        outputs: Any = engine.state.output
        for item, output in zip(batch, outputs, strict=True):
            identity = str(item["id"])
            try:
                self.rows.append({"id": identity, **self._scores(item, output)})
            except (ValueError, OSError) as error:
                self.failed[identity] = str(error)

    def _scores(self, item: Mapping[str, Any], output: Mapping[str, Any]) -> dict[str, float]:
        path = Path(str(item[self.reference_key]))
        predicted = output[self.key]
        affine = to_ras(affine_of(predicted), predicted)
        prediction = Volume(path=Path("the prediction"), array=predicted[0].cpu().numpy(), affine=affine)
        reference = read_volume(path).on_grid_of(prediction)
        for warning in reference.warnings:
            say(f"warning: {item['id']}: {warning}")
        finding = reference.grid_finding(prediction)
        if finding:
            raise ValueError(finding)
        scores = score_case(
            prediction.array,
            reference.array,
            spacing_of(affine).tolist(),
            self.final_classes,
            self.metrics,
            options=self.options,
            empty=self.empty,
            labels=self.labels,
            ignore_label=self.ignore_label,
        )
        unlabelled = {int(label) for label in str(item.get(UNLABELLED) or "").split(",") if label}
        return without_unknown(scores, self.final_classes, self.metrics, unlabelled)

    def _finish(self, engine: Engine) -> None:
        if self.cases is not None:
            for case, message in self.failed.items():
                self.cases.fail(case, message)
        rows, failed = _gather(self.rows, self.failed if self.cases is None else dict(self.cases.failures))
        for name, values in summarize(rows).items():
            if not math.isnan(values["Mean"]):
                engine.state.metrics[name] = values["Mean"]
        if self.rank == 0:
            self._write(rows, failed)
        if failed and self.cases is None:
            lines = [f"{len(failed)} of {len(rows) + len(failed)} cases could not be scored:"]
            for name in sorted(failed):
                lines.append(f"{name}: {failed[name]}")
            raise ValueError("\n".join(lines))

    def _write(self, rows: list[dict[str, Any]], failed: dict[str, str]) -> None:
        if self.digest != self._digest():
            raise ValueError(f"{self.scored_weights} was replaced while it was evaluated. Evaluate this fold again.")
        derived_from = {
            "weights": self.digest,
            "metrics": list(self.metrics),
            "metric_options": self.options,
            "both_empty": self.empty.both_empty,
            "one_empty": self.empty.one_empty,
            "empty_distance_mm": self.empty.distance_mm,
        }
        write_results(self.output_path, rows, failed, derived_from)


def _gather(rows: list[dict[str, Any]], failed: dict[str, str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The rows and failures of all processes; uneven shards may repeat a case, which counts once."""
    gathered: list[Any] = [(rows, failed)]
    if dist.is_available() and dist.is_initialized():
        gathered *= dist.get_world_size()
        dist.all_gather_object(gathered, (rows, failed))
    by_id: dict[str, dict[str, Any]] = {}
    all_failed: dict[str, str] = {}
    for process_rows, process_failed in gathered:
        all_failed |= process_failed
        for row in process_rows:
            by_id[row["id"]] = row
    for case in all_failed:  # scored, but its label map could not be written
        by_id.pop(case, None)
    return list(by_id.values()), all_failed
