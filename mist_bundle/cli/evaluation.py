"""Verbs that score predictions and improve them: evaluate, postprocess, choose_postprocessing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mist_bundle as mb
from mist_bundle.api.arguments import arguments_of, takes
from mist_bundle.api.kinds import ALL, FileName
from mist_bundle.cli.scores import printed_scores, score_lines
from mist_bundle.cli.words import fail_for, heading, nearby, next_command, printed_warnings
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import (
    ABSENT_CHANNELS_JSON,
    CONFIDENCE_JSON,
    POSTPROCESSING_JSON,
    check_can_write,
    read_json,
    refuse_existing,
    refuse_to_replace,
)
from mist_bundle.runtime.wording import counted, did_you_mean

if TYPE_CHECKING:
    from mist_bundle.evaluation.change import Change

RESULTS = "results.csv"


_WORKERS = (
    "processes that share the cases, or tcp://HOST:PORT of a Dask cluster; by default one for each GPU with a bundle, "
    "and chosen automatically without."
)


@takes(mb.Bundle.evaluate, mb.evaluate, about={"workers": _WORKERS})
def evaluate(
    bundle: FileName | None = None, *, output: FileName = RESULTS, overwrite: bool = False, **arguments: Any
) -> None:
    """Score the held-out folds of a trained bundle, or any predictions against their references.

    With a bundle: --fold, --device, --devices, --dataset_dir, --each_absent, --trust, and any id of evaluate.json.
    Without: --paths, or --reference and --prediction.

    Args:
        bundle: a trained bundle; leave it out to score files.
        output: the table to write when files are scored.
        overwrite: replace an existing table.
    """
    if bundle is None:
        _evaluate_files(Path(output), arguments, overwrite=overwrite)
    else:
        _evaluate_bundle(mb.Bundle(bundle), arguments)


def _evaluate_files(table: Path, arguments: Mapping[str, Any], *, overwrite: bool) -> None:
    known = [argument.name for argument in arguments_of(mb.evaluate)]
    problems = []
    for name in arguments:
        if name not in known:
            problems.append(Problem(f"--{name}", f"is not an option without a bundle. {did_you_mean(name, known)}"))
    if problems:
        raise InputError(problems)
    _check_table(table, arguments, overwrite=overwrite)
    with printed_warnings():
        scored = mb.evaluate(**arguments)
    scored.write(table)
    print("\n".join(score_lines([case.row for case in scored.cases])))
    print(f"\nScores: {table}")
    fail_for(scored.problems, scored.num_cases, "not scored")


def _check_table(table: Path, arguments: Mapping[str, Any], *, overwrite: bool) -> None:
    """Refuse, before anything is scored, a table that cannot be written or would replace what is read.

    Raises:
        InputError: says which file is in the way.
    """
    if table.suffix not in (".csv", ".json"):
        message = f"is {table}; expected a name that ends in .csv, for a table, or .json."
        raise InputError(Problem("--output", message))
    read = []
    for name in ("paths", "reference", "classes"):
        path = Path(str(arguments.get(name) or ""))
        if path.is_file():
            read.append(path)
    for file in (table, table.with_suffix(".json")):
        refuse_existing(file, overwrite=overwrite)
        refuse_to_replace(file, read)
    check_can_write(table.parent)


def _evaluate_bundle(bundle: mb.Bundle, arguments: Mapping[str, Any]) -> None:
    fold = arguments.get("fold", ALL)
    folds = bundle.trained_folds() if fold == ALL else fold
    with printed_warnings(), printed_scores(lambda: bundle.scores_by_case(folds)):
        bundle.evaluate(announce=heading, **arguments)
    print()
    for number in folds:
        print(f"Fold {number}: {nearby(bundle.fold(number).results)}")
    print(_what_follows(bundle, arguments))
    if arguments.get("each_absent"):
        _print_absent(read_json(bundle.work_dir / ABSENT_CHANNELS_JSON)["channels"])


def _what_follows(bundle: mb.Bundle, arguments: Mapping[str, Any]) -> str:
    """The next command: finalize once all folds are evaluated."""
    left = [fold for fold in bundle.folds() if not fold.results.is_file()]
    if not left:
        return f"Gather the folds: mist-bundle finalize {shlex.quote(str(nearby(bundle.root)))}"
    trained = bundle.trained_folds()
    for fold in left:
        if fold.number not in trained:
            return f"Train the next fold: {next_command(bundle, 'train', '--fold', str(fold.number), like=arguments)}"
    numbers = ",".join(str(fold.number) for fold in left)
    return f"Evaluate the other folds: {next_command(bundle, 'evaluate', '--fold', numbers, like=arguments)}"


def _print_absent(channels: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    for name, columns in channels.items():
        print(f"\nWithout {name}:")
        width = max(map(len, columns))
        for column, row in columns.items():
            print(f"  {column:<{width}}  {row['with']:.4f} -> {row['without']:.4f}  {row['change']:+.4f}")


@takes(mb.postprocess)
def postprocess(predictions: FileName, strategy: FileName, output: FileName, **arguments: Any) -> None:
    """Post-process label maps; with references, score them before and after and weigh the change.

    Args:
        predictions: folder of <id>.nii.gz.
        strategy: JSON file of steps; `mist-bundle postprocessing` lists the operations.
        output: folder for predictions/ and strategy.json; with references also baseline.csv, results.csv and
            change.json.
    """
    with printed_warnings():
        processed = mb.postprocess(predictions, strategy, output, **arguments)
    folder = Path(output)
    print(f"{counted(processed.num_written, 'label map')}: {folder / 'predictions'}")
    if processed.change is not None:
        _print_change(processed.change)
        print(f"Scores before and after: {folder / 'baseline.csv'}, {folder / RESULTS}")
    fail_for(processed.problems, processed.num_cases, "not post-processed")


@takes(mb.Bundle.choose_postprocessing)
def choose_postprocessing(bundle: FileName, **arguments: Any) -> None:
    """Choose the post-processing that helps in every fold of a cross-validation, and write it into the bundle.

    Args:
        bundle: a bundle whose folds were trained and evaluated.
    """
    opened = mb.Bundle(bundle)
    choice, change, folder = opened.choose_postprocessing(**arguments)
    for step in choice.steps:
        print(f"Chosen: {json.dumps(step.to_json())}")
    print(choice.because)
    _print_change(change)
    print(f"Written into {opened.root / POSTPROCESSING_JSON}; all candidates: {folder}")


@takes(mb.Bundle.calibrate)
def calibrate(bundle: FileName, **arguments: Any) -> None:
    """Measure how far probabilities can be trusted, on held-out cases, and write a temperature into the bundle.

    Args:
        bundle: a bundle whose folds were trained, and evaluated with --save_probabilities true.
    """
    opened = mb.Bundle(bundle)
    calibration, account = opened.calibrate(**arguments)
    print(
        f"Temperature {calibration.temperature:.3f}: expected calibration error {calibration.error_before:.4f} -> "
        f"{calibration.error_after:.4f}, each fold with the temperature of the others"
    )
    limits = calibration.review_limits()
    for name, error in calibration.dice_errors().items():
        print(f"{name}: expected Dice is off by {error:.3f} on average; review below {limits[name]:.3f}")
    print(f"Written into {opened.root / CONFIDENCE_JSON}; case by case: {account}")


def _print_change(change: Change) -> None:
    width = max(map(len, change.columns))
    for column, (before, after) in change.columns.items():
        print(f"{column:<{width}}  {before:.4f} -> {after:.4f}")
    print(
        f"Weighted change of quality (worst 0, best 1): {change.total:+.5f}; "
        f"{counted(len(change.improved), 'case')} better, {len(change.worsened)} worse"
    )
