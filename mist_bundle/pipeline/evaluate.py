"""Predict and score the held-out cases of a bundle's folds, in one process or shared out over GPUs and machines."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle, Fold
from mist_bundle.bundle.launch import EVALUATING, WorkflowFailed, run_workflow, workflow_command
from mist_bundle.errors import CaseFailure, InputError, Problem
from mist_bundle.evaluation.gather import NOT_SCORED, failed_cases, gather_folds, write_results
from mist_bundle.files import DATALIST_JSON, RESULTS_CSV, RESULTS_JSON, read_json
from mist_bundle.pipeline.headings import Announce, fold_headings, silent
from mist_bundle.pipeline.shares import Crew, SharedRun, choose_crew, run_in_shares
from mist_bundle.pipeline.workflows import open_to_run, ready_folds
from mist_bundle.runtime.predictions.records import read_failure

SHARES = "shares"  # folder of a fold in which each share keeps its scores until they are gathered


def evaluate_folds(
    bundle: Path,
    folds: Sequence[int] | None,
    overrides: Mapping[str, Any],
    *,
    workers: int | str | None = None,
    devices: str | Sequence[int] | None = None,
    trust: bool = False,
    announce: Announce = silent,
) -> list[int]:
    """Predict and score the held-out cases of folds.

    Predictions of the same weights, settings and images that exist already are only scored.

    Args:
        bundle: its folder.
        folds: which; None for all that were trained.
        overrides: ids of evaluate.json.
        workers: processes that share the cases, or the address of a Dask scheduler; see `choose_crew`.
        devices: numbers of the GPUs that share the cases; None for every visible GPU.
        trust: run a bundle that does not pass the audit.
        announce: called with a heading before each fold begins.

    Returns:
        The folds that were evaluated.

    Raises:
        InputError: a fold has no weights.
        CaseFailure: some cases could not be predicted or scored, each named with the reason; the others were.
    """
    opened = open_to_run(bundle, trust=trust, work_dir=overrides.get("work_dir"))
    chosen = _trained(opened, folds)
    crew = choose_crew(bundle, EVALUATING, overrides, workers, devices)
    problems: list[Problem] = []
    for number, heading in zip(chosen, fold_headings("Evaluating", chosen), strict=False):
        announce(heading)
        fold = opened.fold(number)
        stored = {} if fold.published == fold.weights else {"ckpt_path": str(fold.published)}
        settings = {"fold": number, **stored, **overrides}
        if crew is None:
            problems += _evaluate(opened, fold, settings)
        else:
            problems += _evaluate_in_shares(opened, fold, settings, crew)
    if problems:
        total = sum(len(opened.datalist.held_out(number)) for number in chosen)
        raise CaseFailure(problems, total)
    return chosen


def _trained(bundle: Bundle, folds: Sequence[int] | None) -> list[int]:
    """The folds to evaluate, each of which has weights."""
    command = f"mist-bundle train {shlex.quote(str(bundle.root))} --fold all"
    none = Problem(str(bundle.root), f"has no trained fold. Train it first: {command}")

    def lack(number: int) -> str:
        return f"has no weights yet: {bundle.fold(number).weights} is not there. Train it first."

    return ready_folds(bundle, folds, bundle.trained_folds(), lack, none)


def _evaluate(bundle: Bundle, fold: Fold, settings: Mapping[str, Any]) -> list[Problem]:
    """Evaluate a fold in a single process; a Problem for each case that failed."""
    try:
        run_workflow(bundle.root, EVALUATING, settings)
    except WorkflowFailed:
        problems = []
        for case in bundle.datalist.held_out(fold.number):
            reason = read_failure(fold.predictions, case.id)
            if reason:
                problems.append(_problem(fold, case.id, reason))
        if not problems:
            raise
        return problems
    return []


def _evaluate_in_shares(bundle: Bundle, fold: Fold, settings: Mapping[str, Any], crew: Crew) -> list[Problem]:
    """Evaluate a fold in shares and gather their scores; a Problem for each case that failed.

    A share keeps its scores in a folder of its own, while the predictions of all shares go to the folder of the fold.
    """
    folder = Path(settings.get("fold_dir") or fold.folder).absolute()
    settings = {"output_dir": str(folder / fold.predictions.name), **settings}
    workflow_command(bundle.root, EVALUATING, settings)  # refuses wrong settings before anything is changed
    listed = read_json(Path(settings.get("datalist") or bundle.root / DATALIST_JSON))["training"]
    entries = [entry for entry in listed if entry["fold"] == fold.number]
    shares = folder / SHARES
    shutil.rmtree(shares, ignore_errors=True)
    for name in (RESULTS_CSV, RESULTS_JSON):  # of predictions that are replaced from here on
        (folder / name).unlink(missing_ok=True)
    run = SharedRun(
        bundle=bundle.root.absolute(), workflow=EVALUATING, part="training", settings=settings, fold_dirs=shares
    )
    reasons = {problem.path: problem.message for problem in run_in_shares(run, entries, crew)}
    tables = sorted(shares.glob(f"*/{RESULTS_CSV}"))
    if not tables:
        shutil.rmtree(shares, ignore_errors=True)
        raise WorkflowFailed(next(iter(reasons.values()), "no share of the cases has scores."), 1)
    rows = gather_folds(tables)
    failed = failed_cases(tables, rows, [str(entry["id"]) for entry in entries])
    for case, reason in reasons.items():
        if failed.get(case) == NOT_SCORED:  # its share ended before it could say more
            failed[case] = reason
    derived_from = _derived_from(fold, tables)
    write_results(folder / RESULTS_CSV, rows, failed, derived_from)
    shutil.rmtree(shares, ignore_errors=True)
    return [_problem(fold, case, reason) for case, reason in sorted(failed.items())]


def _derived_from(fold: Fold, tables: Sequence[Path]) -> Any:
    """What the scores of all shares hold for.

    Raises:
        InputError: it differs, because the weights were replaced while the shares were at work.
    """
    sources = [read_json(table.with_name(RESULTS_JSON))["derived_from"] for table in tables]
    for source in sources:
        if source != sources[0]:
            message = "were replaced while they were evaluated. Evaluate this fold again."
            raise InputError(Problem(f"fold {fold.number}", f"its weights {message}"))
    return sources[0]


def _problem(fold: Fold, case: str, reason: str) -> Problem:
    return Problem(f"fold {fold.number}, {case}", reason)
