"""The same training with several seeds: how far its results differ by chance alone.

Every seed has a bundle of its own, a copy of the untrained bundle, so that each can be looked at, predicted with and
compared like any other. The folds stay those of the bundle: only the order of patches, augmentations and initial
weights change.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mist_bundle.bundle.contents import plain_files
from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.launch import configured_dataset_dir
from mist_bundle.bundle.manifest import write_manifest
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import RESULTS_CSV, new_folder, read_json, real_path, write_json
from mist_bundle.pipeline.evaluate import evaluate_folds
from mist_bundle.pipeline.headings import Announce, silent
from mist_bundle.pipeline.workflows import check_folds, open_to_run, train
from mist_bundle.runtime.folds.files import copy_whole
from mist_bundle.runtime.metrics.table import ID, summarize, write_results

STUDY_JSON = "study.json"
_WEIGHTS = "models/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """The results of several trainings that differ in their seed.

    Attributes:
        folder: of the study.
        bundles: seed -> its trained bundle.
        means: seed -> column ("liver_dice") -> mean over the held-out cases.
    """

    folder: Path
    bundles: Mapping[int, Path]
    means: Mapping[int, Mapping[str, float]]

    @property
    def results(self) -> Path:
        """The table of the means over seeds, case by case."""
        return self.folder / RESULTS_CSV

    def summary(self) -> dict[str, tuple[float, float]]:
        """Column -> mean over the seeds, and standard deviation between them (n - 1), NaN for a single seed."""
        summary = {}
        for column in next(iter(self.means.values())):
            values = [means[column] for means in self.means.values()]
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            summary[column] = (statistics.fmean(values), spread)
        return summary

    def lines(self) -> list[str]:
        """Mean, spread and the single values of each column, as lines of text."""
        width = max(map(len, next(iter(self.means.values()))))
        lines = []
        for column, (mean, spread) in self.summary().items():
            values = "  ".join(f"{means[column]:.4f}" for means in self.means.values())
            lines.append(f"{column:<{width}}  {mean:.4f} ± {spread:.4f}   {values}")
        return lines


def run_study(
    bundle: Path,
    output: Path,
    *,
    num_seeds: int,
    folds: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    trust: bool = False,
    announce: Announce = silent,
) -> Study:
    """Train and evaluate copies of a bundle, each with another seed. What an earlier call finished is kept.

    Args:
        bundle: its folder, trained or not; it stays as it is.
        output: folder of the study.
        num_seeds: the bundle's own seed and the numbers after it.
        folds: which to train; None for all.
        settings: ids of train.json, such as the device.
        trust: run a bundle that does not pass the audit.
        announce: called with a heading before each seed.

    Raises:
        InputError: the folder holds something else, or a study of another bundle or of other folds.
    """
    source = open_to_run(bundle, trust=trust)
    chosen = list(range(source.datalist.num_folds) if folds is None else folds)
    check_folds(source, chosen)
    common = {"dataset_dir": str(configured_dataset_dir(bundle)), **(settings or {})}
    _check_places(bundle, output, Path(common["dataset_dir"]))
    _begin(output, source, chosen)
    first = source.plan.seed
    bundles: dict[int, Path] = {}
    tables: dict[int, list[dict[str, Any]]] = {}
    for seed in range(first, first + num_seeds):
        announce(f"Seed {seed}")
        copy = output / f"seed_{seed}" / source.root.absolute().name
        if not copy.is_dir():
            _copy_untrained(source.root, copy)
        train(copy, chosen, {**common, "seed": seed, "resume": True}, trust=trust)
        evaluate_folds(copy, chosen, common, trust=trust)
        bundles[seed] = copy
        tables[seed] = _scores(Bundle(copy), chosen)
    study = Study(folder=output, bundles=bundles, means=_means(tables))
    write_results(study.results, _mean_of_each_case(tables))
    _write(study, source.identity, chosen)
    return study


def spread_of(folder: Path) -> dict[str, float]:
    """Column -> standard deviation between the seeds of a study.

    Raises:
        InputError: the study has not come to its end.
    """
    content = read_json(folder / STUDY_JSON)
    columns = content.get("columns") if isinstance(content, dict) else None
    if not columns:
        raise InputError(Problem(str(folder), "is a study without results yet. Let `mist-bundle study` finish first."))
    return {name: row["std"] for name, row in columns.items() if row["std"] is not None}


def bundle_of_study(folder: Path) -> Path:
    """The bundle of the first seed, whose folds and classes are those of all."""
    content = read_json(folder / STUDY_JSON)
    return folder / str(next(iter(content["bundles"].values())))


def is_study(path: Path) -> bool:
    """Whether a folder is a study."""
    return (path / STUDY_JSON).is_file()


def _check_places(bundle: Path, output: Path, dataset_dir: Path) -> None:
    """Refuse, before anything is written, a study within the bundle, and cases that are not there.

    Raises:
        InputError: both at once.
    """
    problems = []
    if real_path(bundle) in [real_path(output), *real_path(output).parents]:
        message = f"is {output}, within the bundle, whose manifest would not fit it any more. Choose a place outside."
        problems.append(Problem("--output", message))
    if not dataset_dir.is_dir():
        problems.append(
            Problem("--dataset_dir", f"is {dataset_dir}, which is no folder. Name the folder of the cases.")
        )
    if problems:
        raise InputError(problems)


def _begin(output: Path, source: Bundle, folds: Sequence[int]) -> None:
    """Mark the folder as a study of the bundle, or check that it is."""
    place = output / STUDY_JSON
    request = {"bundle_id": source.identity, "folds": list(folds)}
    if not place.is_file():
        if output.is_dir() and any(output.iterdir()):
            message = "holds files, but no study. Choose a new folder."
            raise InputError(Problem(str(output), message))
        write_json(place, request)
        return
    content = read_json(place)
    for key, value in request.items():
        if content.get(key) != value:
            message = f"is a study with {key} {content.get(key)}; this one has {value}. Choose another --output."
            raise InputError(Problem(str(output), message))


def _copy_untrained(bundle: Path, target: Path) -> None:
    with new_folder(target) as folder:
        for name, file in plain_files(bundle).items():
            if not name.startswith(_WEIGHTS):
                copy_whole(file, folder / name)
        (folder / _WEIGHTS).mkdir()
        write_manifest(folder)


def _scores(bundle: Bundle, folds: Sequence[int]) -> list[dict[str, Any]]:
    from mist_bundle.evaluation.gather import gather_folds

    return gather_folds([bundle.fold(number).results for number in folds])


def _means(tables: Mapping[int, Sequence[Mapping[str, Any]]]) -> dict[int, dict[str, float]]:
    means: dict[int, dict[str, float]] = {}
    for seed, rows in tables.items():
        means[seed] = {column: values["Mean"] for column, values in summarize(list(rows)).items()}
    return means


def _mean_of_each_case(tables: Mapping[int, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each case that every seed scored: the mean of each column, NaN where any seed has no value."""
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for rows in tables.values():
        for row in rows:
            by_id.setdefault(str(row[ID]), []).append(row)
    averaged: list[dict[str, Any]] = []
    for case_id, rows in sorted(by_id.items()):
        if len(rows) < len(tables):
            continue
        mean: dict[str, Any] = {ID: case_id}
        for column in rows[0]:
            if column != ID:
                mean[column] = float(np.mean([row[column] for row in rows]))
        averaged.append(mean)
    return averaged


def _write(study: Study, identity: str, folds: Sequence[int]) -> None:
    columns = {}
    for column, (mean, spread) in study.summary().items():
        single = {str(seed): _number(means[column]) for seed, means in study.means.items()}
        columns[column] = {"mean": _number(mean), "std": _number(spread), "seeds": single}
    bundles = {str(seed): path.relative_to(study.folder).as_posix() for seed, path in study.bundles.items()}
    content = {"bundle_id": identity, "folds": list(folds), "bundles": bundles, "columns": columns}
    write_json(study.folder / STUDY_JSON, content)


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None  # JSON has no NaN
