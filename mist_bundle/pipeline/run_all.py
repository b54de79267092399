"""Everything that follows the configuration: arrays, trainings, scores, results, predictions and pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.bundle.launch import EVALUATING
from mist_bundle.bundle.placement import Hardware
from mist_bundle.errors import InputError
from mist_bundle.files import work_dir_of
from mist_bundle.pipeline.evaluate import evaluate_folds
from mist_bundle.pipeline.headings import Announce, silent
from mist_bundle.pipeline.predict_cases import predict_test_set
from mist_bundle.pipeline.results import evaluated_folds, finalize, report
from mist_bundle.pipeline.shares import choose_crew
from mist_bundle.pipeline.workflows import num_folds, preprocess, train


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """The results of a whole run.

    Attributes:
        bundle: the folder of the trained bundle.
        results: the table of all held-out cases.
        picture: some of them beside their references.
        page: the report, or the reason why there is none.
        predictions: folder of the predicted test set.
        num_tests: predicted test cases.
    """

    bundle: Path
    results: Path
    picture: Path
    page: str
    predictions: Path
    num_tests: int


def train_to_the_end(
    bundle: Path,
    *,
    device: str | None = None,
    predict_test: bool = True,
    resume: bool = False,
    hardware: Hardware | None = None,
    parallel: int = 1,
    trust: bool = False,
    announce: Announce = silent,
) -> Finished:
    """Preprocess, train and evaluate every fold, gather the results, predict the test set, and write the report.

    Args:
        bundle: its folder.
        device: "cpu", "cuda" or "cuda:1".
        predict_test: predict the test set, if the datalist has one.
        resume: continue after the steps that are finished.
        hardware: as for `train`.
        parallel: folds that are trained side by side; so many processes share the cases in the evaluation, too.
        trust: run a bundle that does not pass the audit.
        announce: called with a heading before each fold.
    """
    from mist_bundle.bundle.folder import Bundle
    from mist_bundle.report.overlay import draw_examples

    settings = {"device": device}
    folds = list(range(num_folds(bundle)))
    preprocess(bundle, {}, trust=trust)
    started = {**settings, "resume": resume or None}
    train(bundle, folds, started, hardware, parallel=parallel, trust=trust, announce=announce)
    scored = evaluated_folds(bundle) if resume else []
    remaining = sorted(set(folds) - set(scored))
    if remaining:
        workers = _evaluating_processes(bundle, settings, parallel)
        evaluate_folds(bundle, remaining, settings, workers=workers, trust=trust, announce=announce)
    results = finalize(bundle)
    predictions = work_dir_of(bundle) / "predictions"
    num_tests = predict_test_set(bundle, predictions, settings, trust=trust) if predict_test else 0
    return Finished(
        bundle=bundle,
        results=results,
        picture=draw_examples(Bundle(bundle)),
        page=_page(bundle),
        predictions=predictions,
        num_tests=num_tests,
    )


def _evaluating_processes(bundle: Path, settings: Mapping[str, Any], parallel: int) -> int | None:
    """Processes that share the cases of a fold: as many as folds were trained at a time, or None for one on each GPU.

    The scores do not depend on it.
    """
    crew = choose_crew(bundle, EVALUATING, settings)
    by_default = 1 if crew is None else int(crew.workers)
    return parallel if parallel > by_default else None


def _page(bundle: Path) -> str:
    """The file of the report, or the reason why there is none: everything else is finished by now and stays."""
    try:
        return str(report(bundle, overwrite=True).page)
    except InputError as error:
        return f"none ({error})"
