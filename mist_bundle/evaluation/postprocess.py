"""Post-process a folder of predictions, and measure the effect by scores before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mist_bundle.dataset.volumes import memory_of_a_case, read_volume
from mist_bundle.errors import InputError, Problem, count_paths
from mist_bundle.evaluation.change import Change, check_weights, measure_change
from mist_bundle.evaluation.label_files import read_named, whole_labels, write_label_map
from mist_bundle.evaluation.pairs import Pair, Pairing, label_maps
from mist_bundle.evaluation.remarks import Remarks, gathered_remarks
from mist_bundle.evaluation.score import Scored, ScoredCases, ScoreSettings, map_pairs, read_pair, score_arrays
from mist_bundle.files import RESULTS_CSV, new_folder, read_json, write_json
from mist_bundle.parallel import map_cases
from mist_bundle.runtime.numerics.grid import spacing_of
from mist_bundle.runtime.postprocessing.strategy import Step, apply_strategy, parse_strategy

PREDICTIONS = "predictions"
STRATEGY_JSON = "strategy.json"
BASELINE_CSV = "baseline.csv"
CHANGE_JSON = "change.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Postprocessed:
    """The result of post-processing a folder.

    Attributes:
        num_written: number of label maps written.
        num_cases: number of cases, including those that failed.
        change: the effect on the scores; None without references.
        problems: a Problem for each case that failed.
        warnings: irregularities of files that do not prevent their use, and of the scores afterwards.
    """

    num_written: int
    num_cases: int
    change: Change | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()


def load_strategy(path: Path) -> tuple[Step, ...]:
    """The steps of a strategy file.

    Raises:
        InputError: the file cannot be read or is not a strategy.
    """
    try:
        return parse_strategy(read_json(path))
    except ValueError as error:
        raise InputError(Problem(str(path), str(error))) from error


def postprocess_folder(
    predictions: Path, steps: Sequence[Step], output: Path, workers: int | str | None = None, *, overwrite: bool = False
) -> Postprocessed:
    """Write `output`/predictions/<id>.nii.gz and the strategy, without scores.

    Raises:
        InputError: no prediction can be read, or `output` exists and `overwrite` is False.
    """
    files, problems = label_maps(predictions)
    with new_folder(output, overwrite=overwrite, inputs=[predictions], mark=STRATEGY_JSON) as folder:
        treat = partial(_treat, steps=tuple(steps), folder=folder / PREDICTIONS)
        items = sorted(files.items())
        done = map_cases(
            treat,
            items,
            name=lambda item: item[0],
            workers=workers,
            description="postprocess",
            case_bytes=memory_of_a_case([[path] for _, path in items]),
        )
        problems += done.problems
        if not done.results:
            raise InputError(problems or Problem(str(predictions), "holds no image file."))
        _write_strategy(folder, steps)
    return Postprocessed(
        num_written=len(done.results),
        num_cases=len(done.results) + count_paths(problems),
        change=None,
        problems=tuple(problems),
        warnings=gathered_remarks(done.results),
    )


def postprocess_and_score(
    pairing: Pairing,
    steps: Sequence[Step],
    output: Path,
    settings: ScoreSettings,
    weights: Mapping[str, float] | None = None,
    workers: int | str | None = None,
    *,
    overwrite: bool = False,
) -> Postprocessed:
    """Like `postprocess_folder`, with scores before (baseline.csv) and after (results.csv) and change.json.

    Raises:
        InputError: no case could be scored, a weight is wrong, or `output` exists and `overwrite` is False.
    """
    checked = check_weights(settings, weights)
    inputs: set[Path] = set()
    for pair in pairing.pairs:
        inputs |= {pair.prediction.parent, pair.reference.parent}
    with new_folder(output, overwrite=overwrite, inputs=sorted(inputs), mark=STRATEGY_JSON) as folder:
        treat = partial(_treat_and_score, steps=tuple(steps), folder=folder / PREDICTIONS, settings=settings)
        done, problems = map_pairs(treat, pairing, "postprocess", workers)
        before, after = map(list, zip(*done, strict=True))
        change = measure_change(before, after, settings, checked)
        write_change(folder, before, after, change, checked, problems)
        _write_strategy(folder, steps)
    return Postprocessed(
        num_written=len(done),
        num_cases=len(done) + count_paths(problems),
        change=change,
        problems=problems,
        warnings=ScoredCases(cases=tuple(after), problems=problems).warnings,
    )


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
    write_json(folder / STRATEGY_JSON, {"strategy": list(map(Step.to_json, steps))})


def _treat(item: tuple[str, Path], steps: Sequence[Step], folder: Path) -> Remarks:
    name, path = item
    volume = read_named(read_volume, path)
    label = apply_strategy(whole_labels(volume), spacing_of(volume.affine).tolist(), steps)
    write_label_map(folder / f"{name}.nii.gz", label, path)
    return name, volume.warnings


def _treat_and_score(pair: Pair, steps: Sequence[Step], folder: Path, settings: ScoreSettings) -> tuple[Scored, Scored]:
    reference, prediction = read_pair(pair)
    raw = whole_labels(prediction)
    try:
        before = score_arrays(pair.id, raw, reference, settings, pair.unlabelled)
        label = apply_strategy(raw, spacing_of(prediction.affine).tolist(), steps)
        if label is raw:  # no step changed anything
            after = before
        else:
            after = score_arrays(pair.id, label, reference, settings, pair.unlabelled)
    except ValueError as error:
        raise InputError(Problem(str(pair.prediction), str(error))) from error
    write_label_map(folder / f"{pair.id}.nii.gz", label, pair.prediction)
    return before, after.with_remarks(*reference.warnings, *prediction.warnings)
