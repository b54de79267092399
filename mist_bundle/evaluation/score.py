"""Score any predictions against their references: two folders, or a table of pairs.

Headers are checked, failed cases are named and counted, and what could be scored is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mist_bundle.artifacts import read_json, write_json
from mist_bundle.dataset.integrity import check_headers
from mist_bundle.dataset.tables import read_table
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.parallel import map_cases
from mist_bundle.runtime.metrics.case import METRICS, score_case
from mist_bundle.runtime.metrics.table import write_results

SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A predicted label map and its reference."""

    id: str
    reference: Path
    prediction: Path


def evaluate_files(
    *,
    paths: Path | None,
    reference: Path | None,
    prediction: Path | None,
    classes: Path | None,
    metrics: Sequence[str],
    output: Path,
    workers: int | str = 1,
) -> tuple[list[Problem], int]:
    """Score files and write `output` and a JSON file of the same name beside it.

    Args:
        paths: CSV or JSON with the columns id, mask, prediction; or None for folders.
        reference: folder of references, with `prediction`.
        prediction: folder of predictions of the same names.
        classes: JSON: class name -> list of labels, or a dataset.json.
        metrics: names of metrics.
        output: the results.csv.
        workers: cases at the same time.

    Returns:
        The cases that failed, and the number of all cases.

    Raises:
        InputError: the request itself is wrong, or not one case could be scored.
    """
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise InputError(Problem("--metrics", f"{unknown} are unknown; known: {', '.join(METRICS)}."))
    final_classes = _read_classes(classes)
    pairs, problems = _pairs(paths, reference, prediction)
    score = partial(_score, final_classes=final_classes, metrics=tuple(metrics))
    done = map_cases(score, pairs, name=lambda pair: pair.id, workers=workers, description="evaluate")
    problems += done.problems
    if not done.results:
        raise InputError(problems or [Problem(str(paths or prediction), "holds no case.")])
    summary = write_results(output, done.results)
    rows = sorted(done.results, key=lambda row: str(row["id"]))
    clean = [{key: None if value != value else value for key, value in row.items()} for row in rows]
    write_json(output.with_suffix(".json"), {"cases": clean, "summary": _without_nan(summary)})
    return problems, len(pairs) + len(problems) - len(done.problems)


def _read_classes(path: Path | None) -> dict[str, tuple[int, ...]]:
    if path is None:
        raise InputError(
            Problem("--classes", "is missing; give a JSON file of class names and labels, or a dataset.json.")
        )
    content = read_json(path)
    content = content.get("final_classes", content) if isinstance(content, dict) else content
    valid = isinstance(content, dict) and all(
        isinstance(labels, list) and labels and all(isinstance(label, int) for label in labels)
        for labels in content.values()
    )
    if not valid or not content:
        raise InputError(Problem(str(path), 'must hold class names and their labels, like {"tumor": [1, 2]}.'))
    return {str(name): tuple(labels) for name, labels in content.items()}


def _pairs(paths: Path | None, reference: Path | None, prediction: Path | None) -> tuple[list[Pair], list[Problem]]:
    if paths is not None:
        table = read_table(paths)
        missing = [name for name in ("mask", "prediction") if name not in table.columns]
        if missing:
            raise InputError(Problem(str(paths), f"has no column {missing}; found {list(table.columns)}."))
        pairs, problems = [], list(table.problems)
        for row in table.rows:
            if {"mask", "prediction"} <= set(row.cells):
                files = {name: table.resolve(row.cells[name]) for name in ("mask", "prediction")}
                pairs.append(Pair(id=row.id, reference=files["mask"], prediction=files["prediction"]))
            else:
                problems.append(Problem(row.id, f"{row.place}: mask or prediction is empty."))
        return pairs, problems
    if reference is None or prediction is None:
        raise InputError(Problem("evaluate", "needs a bundle, or --paths, or both --reference and --prediction."))
    references, predictions = _label_maps(reference), _label_maps(prediction)
    problems = [
        Problem(name, f"has no reference in {reference}.") for name in sorted(set(predictions) - set(references))
    ]
    problems += [
        Problem(name, f"has no prediction in {prediction}.") for name in sorted(set(references) - set(predictions))
    ]
    both = sorted(set(references) & set(predictions))
    return [Pair(id=name, reference=references[name], prediction=predictions[name]) for name in both], problems


def _label_maps(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "is not a folder."))
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), None)
        if suffix is not None and not path.name.startswith("."):
            found[path.name[: -len(suffix)]] = path
    return found


def _score(pair: Pair, final_classes: Mapping[str, Sequence[int]], metrics: Sequence[str]) -> dict[str, Any]:
    reference, prediction = read_volume(pair.reference), read_volume(pair.prediction)
    findings = check_headers(reference, prediction)
    if findings:
        raise InputError([Problem(str(pair.prediction), finding) for finding in findings])
    spacing_mm = [float(size) for size in np.linalg.norm(reference.affine[:3, :3], axis=0)]
    return {"id": pair.id, **score_case(prediction.array, reference.array, spacing_mm, final_classes, metrics)}


def _without_nan(summary: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    return {
        column: {name: None if value != value else value for name, value in values.items()}
        for column, values in summary.items()
    }
