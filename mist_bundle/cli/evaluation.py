"""Verbs that score predictions: evaluate."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mist_bundle.cli.words import (
    absolute,
    bundle_folder,
    fail_for,
    fold_numbers,
    nearest_word,
    optional_path,
    sequence,
)
from mist_bundle.errors import InputError, Problem

if TYPE_CHECKING:
    from mist_bundle.evaluation.pairs import Classes
    from mist_bundle.evaluation.score import ScoreSettings
    from mist_bundle.runtime.metrics.case import EmptyRule

# Heavy imports stand inside the verbs, so that --help answers at once.


def evaluate(
    bundle: str | None = None,
    fold: Any = "all",
    paths: str | None = None,
    reference: str | None = None,
    prediction: str | None = None,
    classes: str | None = None,
    labels: Any = None,
    metrics: Any = "dice,hd95",
    metric_options: Any = None,
    both_empty: str = "best",
    one_empty: str = "worst",
    empty_distance_mm: float | None = None,
    output: str = "results.csv",
    workers: Any = 1,
    device: str | None = None,
    overwrite: bool = False,
    dataset_dir: str | None = None,
    **overrides: Any,
) -> None:
    """Score the held-out folds of a trained bundle, or any predictions against their references.

    Args:
        bundle: a trained bundle; leave it out to score files.
        fold: with a bundle: a fold, several, or all that were trained.
        paths: CSV or JSON with the columns id, mask, prediction.
        reference: folder of reference label maps, or a dataset.json; with --prediction instead of --paths.
        prediction: folder of predicted label maps, <id>.nii.gz.
        classes: JSON file: class name to list of labels (or a dataset.json, whose final_classes are taken; by
            default the one that --reference names).
        labels: all label values that may occur (0,1,2); by default those of the dataset.json, if any.
        metrics: comma-separated names; `mist-bundle metrics` lists them.
        metric_options: JSON, or a file of it, such as {"surface_dice": {"tolerance_mm": 2}}.
        both_empty: best or nan: what a class counts that is in neither label map.
        one_empty: worst or nan: what a class counts that is in only one of them.
        empty_distance_mm: the worst distance; by default the diagonal of each image.
        output: the table to write when files are scored.
        workers: cases scored at the same time.
        device: with a bundle: cpu, cuda …
        overwrite: replace a table that is there already.
        dataset_dir: with a bundle: folder of the cases.
        **overrides: with a bundle: any id of evaluate.json or train.json.
    """
    from mist_bundle.runtime.metrics.case import EmptyRule

    rule = EmptyRule(both=str(both_empty), one=str(one_empty), distance_mm=empty_distance_mm)
    how = (metrics, metric_options, rule)
    if bundle is not None:
        settings = {"device": device, "dataset_dir": absolute(dataset_dir), **overrides}
        _evaluate_bundle(bundle_folder(bundle), fold, score_settings({}, *how), settings)
        return
    _refuse_overrides(overrides)
    from mist_bundle.artifacts import refuse_existing
    from mist_bundle.evaluation.pairs import find_pairs
    from mist_bundle.evaluation.score import score_files

    target = Path(str(output))
    refuse_existing(target, overwrite=overwrite)
    known = classes_of(classes, reference, labels)
    chosen = score_settings(known.final_classes, *how, labels=known.labels)
    found = find_pairs(optional_path(paths), optional_path(reference), optional_path(prediction))
    scored = score_files(found, chosen, workers)
    scored.write(target)
    print(f"Scores: {target}")
    fail_for(scored.problems, scored.num_cases, "not scored")


def classes_of(classes: str | None, reference: str | None, labels: Any) -> Classes:
    """What is scored: as --classes says, or the dataset.json that --reference names."""
    from mist_bundle.evaluation.pairs import read_classes

    is_data_set = reference is not None and str(reference).endswith(".json")
    source = classes if classes is not None or not is_data_set else reference
    return read_classes(optional_path(source), None if labels is None else tuple(sequence("labels", labels, int)))


def score_settings(
    final_classes: Mapping[str, tuple[int, ...]],
    metrics: Any,
    metric_options: Any = None,
    empty: EmptyRule | None = None,
    labels: tuple[int, ...] | None = None,
) -> ScoreSettings:
    """Checked settings from what Fire made of the options."""
    from mist_bundle.evaluation.score import settings_from

    options = json_value("metric_options", metric_options)
    if not isinstance(options or {}, dict) or not all(isinstance(one, dict) for one in (options or {}).values()):
        message = f'is {options!r}; expected options by metric, like {{"surface_dice": {{"tolerance_mm": 2}}}}.'
        raise InputError(Problem("--metric_options", message))
    return settings_from(final_classes, sequence("metrics", metrics, str), options, empty, labels)


def json_value(name: str, value: Any) -> Any:
    """What an option holds that may be JSON, or the name of a JSON file."""
    from mist_bundle.artifacts import read_json

    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        path = Path(value)
        if path.is_file():
            return read_json(path)
        raise InputError(Problem(f"--{name}", f"is {value!r}, which is neither JSON nor a file.")) from None


def _evaluate_bundle(bundle: Path, fold: Any, how: ScoreSettings, settings: Mapping[str, Any]) -> None:
    from mist_bundle import pipeline

    wanted = fold_numbers(fold, pipeline.num_folds(bundle))
    scoring = {
        "metrics": list(how.metrics),
        "metric_options": {name: dict(values) for name, values in how.options.items()} or None,
        "both_empty": how.empty.both,
        "one_empty": how.empty.one,
        "empty_distance_mm": how.empty.distance_mm,
    }
    pipeline.evaluate_folds(bundle, wanted, {**scoring, **settings})
    for one in wanted:
        print(f"Fold {one}: {pipeline.work_dir(bundle) / f'fold_{one}' / 'results.csv'}")


def _refuse_overrides(given: Mapping[str, Any]) -> None:
    known = [name for name in inspect.signature(evaluate).parameters if name != "overrides"]
    problems = [Problem(f"--{name}", f"is no option without a bundle. {nearest_word(name, known)}") for name in given]
    if problems:
        raise InputError(problems)
