"""Verbs that look at a dataset: autoconfig, analyze, and run_all, which continues to the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.cli.scores import score_lines
from mist_bundle.cli.words import (
    fail_for,
    heading,
    nearby,
    next_command,
    print_bundle,
    print_count,
    print_folds,
    printed_warnings,
)
from mist_bundle.errors import CaseFailure, Interrupted, count_paths
from mist_bundle.runtime.wording import counted


@takes(mb.configure)
def autoconfig(**arguments: Any) -> None:
    """Measure a dataset, decide everything, and write the decisions as a MONAI bundle."""
    with printed_warnings() as left_out:
        bundle = mb.configure(**arguments)
    _print_decisions(bundle)
    print(f"Train it: {next_command(bundle, 'train', '--fold', 'all')}")
    fail_for(left_out, bundle.plan.num_cases + count_paths(left_out), "left out")


@takes(mb.analyze)
def analyze(**arguments: Any) -> None:
    """Look at a dataset before training: spacing, intensities, structures, lesions and oddities, as a page."""
    with printed_warnings() as left_out:
        analyzed = mb.analyze(**arguments)
    for sentence in analyzed.report["observations"]:
        print(f"- {sentence}")
    print_folds(analyzed.report.get("fold_table"))
    count = analyzed.report["num_cases"]
    print(f"\nMeasured {count} cases: {analyzed.page}\nThe same as text and numbers: data_report.md, data_report.json")
    fail_for(left_out, count + count_paths(left_out), "left out")


@takes(mb.run_all)
def run_all(**arguments: Any) -> None:
    """Everything: configure, preprocess, train and evaluate every fold, gather the results, predict the test set."""
    with printed_warnings() as left_out, _advice_when_interrupted(arguments):

        def on_configured(bundle: mb.Bundle) -> None:
            _print_decisions(bundle)
            if left_out:
                print_count(left_out, bundle.plan.num_cases + count_paths(left_out), "left out")

        run = mb.run_all(**arguments, announce=heading, on_configured=on_configured)
    bundle = mb.Bundle(run.bundle)
    print("\n" + "\n".join(score_lines(bundle.scores_by_case())))
    work = nearby(bundle.work_dir)
    print(f"\nBundle:      {nearby(bundle.root)}\nResults:     {nearby(run.results)}")
    page = nearby(Path(run.page)) if run.page.endswith(".html") else run.page
    print(f"Picture:     {nearby(run.picture)}\nReport:      {page}")
    print(f"Predictions: {work}/fold_*/predictions (each case by a model that had not seen it)")
    if run.num_tests:
        print(f"Test set:    {nearby(run.predictions)} ({counted(run.num_tests, 'case')})")
    if left_out:
        raise CaseFailure(left_out, bundle.plan.num_cases + count_paths(left_out))


def _print_decisions(bundle: mb.Bundle) -> None:
    from mist_bundle.planning.table import decisions_text

    print(decisions_text(bundle.plan))
    print_folds(bundle.datalist.fold_table)
    print_bundle(bundle)
    if bundle.plan.network.value in NETWORKS:  # of others only a run tells
        print(bundle.estimate(steps=0).line())


@contextmanager
def _advice_when_interrupted(arguments: Mapping[str, Any]) -> Iterator[None]:
    """Print how to continue when a signal ends the block."""
    try:
        yield
    except Interrupted as interruption:
        output = str(arguments.get("output", "."))
        words = ["mist-bundle", "run_all", str(arguments["dataset_json"]), "--output", output, "--resume"]
        for name in ("device", "processes", "parallel"):  # what a resumed run does not know by itself
            if arguments.get(name) is not None:
                words += [f"--{name}", str(arguments[name])]
        raise Interrupted(interruption.number, interruption.kept, words) from interruption
