"""Post-process a folder of predictions, score them before and after, and say what it changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.evaluation.change import Change, check_weights, measure_change
from mist_bundle.evaluation.label_files import read_named, whole_labels, write_label_map
from mist_bundle.evaluation.pairs import FoundPairs, Pair, label_maps
from mist_bundle.evaluation.score import Scored, ScoredCases, ScoreSettings, read_pair, score_arrays
from mist_bundle.files import RESULTS_CSV, new_folder, write_json
from mist_bundle.parallel import map_cases
from mist_bundle.runtime.postprocessing.strategy import Step, apply_strategy, read_strategy

PREDICTIONS, STRATEGY_JSON, BASELINE_CSV, CHANGE_JSON = "predictions", "strategy.json", "baseline.csv", "change.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Postprocessed:
    """What was made: number of label maps written, the change where references were given, and failed cases."""

    num_written: int
    num_cases: int
    change: Change | None
    problems: tuple[Problem, ...]


def load_strategy(path: Path) -> tuple[Step, ...]:
    """The steps of a strategy file.

    Raises:
        InputError: it cannot be read or is no strategy.
    """
    try:
        return read_strategy(path)
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read ({error.strerror or error}).")) from error
    except json.JSONDecodeError as error:
        raise InputError(Problem(str(path), f"is not valid JSON: {error.msg} at line {error.lineno}.")) from error
    except ValueError as error:
        raise InputError(Problem(str(path), str(error))) from error


def postprocess_folder(
    predictions: Path, steps: Sequence[Step], output: Path, workers: int | str = 1, *, overwrite: bool = False
) -> Postprocessed:
    """Write `output`/predictions/<id>.nii.gz and the strategy, without scoring anything.

    Raises:
        InputError: there is no prediction that can be read, or something lies at `output`.
    """
    files, problems = label_maps(predictions)
    with new_folder(output, overwrite=overwrite) as folder:
        treat = partial(_treat, steps=tuple(steps), folder=folder / PREDICTIONS)
        names = sorted(files)
        items = [(name, files[name]) for name in names]
        done = map_cases(treat, items, name=lambda item: item[0], workers=workers, description="postprocess")
        problems += done.problems
        if not done.results:
            raise InputError(problems or Problem(str(predictions), "holds no image file."))
        _write_strategy(folder, steps)
    return Postprocessed(
        num_written=len(done.results),
        num_cases=len(done.results) + len(problems),
        change=None,
        problems=tuple(problems),
    )


def postprocess_and_score(
    found: FoundPairs,
    steps: Sequence[Step],
    output: Path,
    settings: ScoreSettings,
    weights: Mapping[str, float] | None = None,
    workers: int | str = 1,
    *,
    overwrite: bool = False,
) -> Postprocessed:
    """The same, and the scores before (baseline.csv) and after (results.csv) and their change (change.json).

    Raises:
        InputError: not one case could be scored, a weight is wrong, or something lies at `output`.
    """
    checked = check_weights(settings, weights)
    with new_folder(output, overwrite=overwrite) as folder:
        treat = partial(_treat_and_score, steps=tuple(steps), folder=folder / PREDICTIONS, settings=settings)
        done = map_cases(treat, found.pairs, name=lambda pair: pair.id, workers=workers, description="postprocess")
        problems = (*found.problems, *done.problems)
        if not done.results:
            raise InputError(problems or Problem("postprocess", "found no case."))
        before, after = ([pair[index] for pair in done.results] for index in (0, 1))
        change = measure_change(before, after, settings, checked)
        write_change(folder, before, after, change, checked, problems)
        _write_strategy(folder, steps)
    total = len(done.results) + len(problems)
    return Postprocessed(num_written=len(done.results), num_cases=total, change=change, problems=problems)


def write_change(
    folder: Path,
    before: Sequence[Scored],
    after: Sequence[Scored],
    change: Change,
    weights: Mapping[str, float],
    problems: Sequence[Problem] = (),
) -> None:
    """Write baseline.csv, results.csv and change.json."""
    for name, cases in ((BASELINE_CSV, before), (RESULTS_CSV, after)):
        ordered = tuple(sorted(cases, key=lambda case: case.id))
        ScoredCases(cases=ordered, problems=tuple(problems)).write(folder / name)
    write_json(folder / CHANGE_JSON, change.to_json(weights))


def _write_strategy(folder: Path, steps: Sequence[Step]) -> None:
    write_json(folder / STRATEGY_JSON, {"strategy": [step.to_json() for step in steps]})


def _treat(item: tuple[str, Path], steps: Sequence[Step], folder: Path) -> str:
    name, path = item
    volume = read_named(read_volume, path)
    write_label_map(folder / f"{name}.nii.gz", apply_strategy(whole_labels(volume), spacing(volume), steps), path)
    return name


def _treat_and_score(pair: Pair, steps: Sequence[Step], folder: Path, settings: ScoreSettings) -> tuple[Scored, Scored]:
    reference, prediction = read_pair(pair)
    raw = whole_labels(prediction)
    try:
        before = score_arrays(pair.id, raw, reference, settings)
        label = apply_strategy(raw, spacing(prediction), steps)
        after = before if label is raw else score_arrays(pair.id, label, reference, settings)
    except ValueError as error:
        raise InputError(Problem(str(pair.prediction), str(error))) from error
    write_label_map(folder / f"{pair.id}.nii.gz", label, pair.prediction)
    return before, after


def spacing(volume: Volume) -> list[float]:
    """Size of a voxel along each axis in mm."""
    return [float(size) for size in np.linalg.norm(volume.affine[:3, :3], axis=0)]
