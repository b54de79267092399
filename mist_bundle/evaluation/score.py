"""Score any predictions against their references.

Headers are checked, failed cases are named and counted, and what could be scored is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mist_bundle.catalog.metrics import DEFAULT_METRICS, metric_name, unknown_metrics
from mist_bundle.dataset.integrity import check_headers
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.evaluation.label_files import read_named
from mist_bundle.evaluation.pairs import Classes, FoundPairs, Pair
from mist_bundle.parallel import map_cases
from mist_bundle.runtime.metrics.case import (
    EmptyRule,
    check_metrics,
    image_diagonal_mm,
    present_labels,
    score_case,
)
from mist_bundle.runtime.metrics.table import Summary, undefined_values, write_results

_MOST_NAMED = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreSettings:
    """What is scored, and how.

    Attributes:
        final_classes: name of each class to its label values.
        metrics: names on the menu.
        options: of metrics, such as {"surface_dice": {"tolerance_mm": 2}}.
        empty: what a class counts that one label map or both have not.
        labels: all values that may occur; None allows any whole number.
        ignore_label: value in the reference of voxels that do not count.
    """

    final_classes: Mapping[str, tuple[int, ...]]
    metrics: tuple[str, ...] = DEFAULT_METRICS
    options: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    empty: EmptyRule = field(default_factory=EmptyRule)
    labels: tuple[int, ...] | None = None
    ignore_label: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """The scores of one case.

    Attributes:
        id: of the case.
        scores: by column (see runtime/metrics/columns.py).
        diagonal_mm: of its image, the scale of its distances.
        warnings: oddities of its files that did not forbid scoring them.
    """

    id: str
    scores: dict[str, float]
    diagonal_mm: float
    warnings: tuple[str, ...] = ()

    @property
    def row(self) -> dict[str, Any]:
        """The row of the table of results."""
        return {"id": self.id, **self.scores}


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredCases:
    """The scored cases in the order of their ids, and a Problem for each of the others."""

    cases: tuple[Scored, ...]
    problems: tuple[Problem, ...]

    @property
    def num_cases(self) -> int:
        """All cases."""
        return len(self.cases) + len(self.problems)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is odd: of the cases, and values that the statistics leave out."""
        cases_by_warning: dict[str, list[str]] = {}
        for case in self.cases:
            for warning in case.warnings:
                cases_by_warning.setdefault(warning, []).append(case.id)
        of_cases = [Problem(_some(ids), warning) for warning, ids in cases_by_warning.items()]
        undefined = undefined_values([case.row for case in self.cases])
        left_out = [
            Problem(
                column, f"has no value in {len(ids)} of {len(self.cases)} cases; the statistics leave out {_some(ids)}."
            )
            for column, ids in undefined.items()
        ]
        return (*of_cases, *left_out)

    def write(self, output: Path) -> Summary:
        """Write results.csv, and a JSON file of the same name beside it which names the failed cases too.

        Returns:
            Column -> statistic -> value over the scored cases.
        """
        failed: dict[str, str] = {}
        for problem in self.problems:
            failed[problem.path] = (
                f"{failed[problem.path]}; {problem.message}" if problem.path in failed else problem.message
            )
        return write_results(output, [case.row for case in self.cases], failed)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def settings_from(
    classes: Classes,
    metrics: Sequence[str],
    options: Mapping[str, Mapping[str, float]] | None = None,
    empty: EmptyRule | None = None,
) -> ScoreSettings:
    """Checked settings; metrics and options may be called by their aliases.

    Raises:
        InputError: naming everything that is wrong.
    """
    problems = [Problem("--metrics", finding) for finding in unknown_metrics(metrics)]
    names = tuple(dict.fromkeys(metric_name(name) for name in metrics))
    chosen = {metric_name(name): dict(values) for name, values in (options or {}).items()}
    if not names:
        problems.append(Problem("--metrics", "names no metric."))
    if not problems:
        problems += [Problem("--metric_options", finding) for finding in check_metrics(names, chosen)]
    rule = empty or EmptyRule()
    problems += [Problem("--both_empty, --one_empty", finding) for finding in rule.findings()]
    if problems:
        raise InputError(problems)
    return ScoreSettings(
        final_classes=classes.final_classes,
        metrics=names,
        options=chosen,
        empty=rule,
        labels=classes.labels,
        ignore_label=classes.ignore_label,
    )


def score_files(found: FoundPairs, settings: ScoreSettings, workers: int | str = 1) -> ScoredCases:
    """Score pairs of files, several at the same time.

    Raises:
        InputError: not one case could be scored; holds the problems of all of them.
    """
    score = partial(score_pair, settings=settings)
    done = map_cases(score, found.pairs, name=lambda pair: pair.id, workers=workers, description="evaluate")
    problems = (*found.problems, *done.problems)
    if not done.results:
        raise InputError(problems or Problem("evaluate", "found no case."))
    return ScoredCases(cases=tuple(sorted(done.results, key=lambda case: case.id)), problems=problems)


def score_pair(pair: Pair, settings: ScoreSettings) -> Scored:
    """Read and score one pair.

    Raises:
        InputError: a file is damaged, the headers disagree, or a label is not allowed.
    """
    reference, prediction = read_pair(pair)
    try:
        return score_arrays(pair.id, prediction.array, reference, settings)
    except ValueError as error:
        raise InputError(Problem(f"{pair.prediction} against {pair.reference}", str(error))) from error


def read_pair(pair: Pair) -> tuple[Volume, Volume]:
    """Reference and prediction, which lie on the same grid.

    Raises:
        InputError: a file is damaged, or the headers disagree.
    """
    volumes: list[Volume] = []
    damaged: list[Problem] = []
    for path in (pair.reference, pair.prediction):
        with Collecting(damaged):
            volumes.append(read_named(read_volume, path))
    if damaged:
        raise InputError(damaged)
    reference, prediction = volumes
    reference = reference.on_grid_of(prediction)
    findings = check_headers(reference, prediction)
    if findings:
        raise InputError([Problem(str(pair.prediction), finding) for finding in findings])
    return reference, prediction


def score_arrays(identity: str, prediction: Any, reference: Volume, settings: ScoreSettings) -> Scored:
    """Score a label map that lies on the grid of its reference.

    Raises:
        ValueError: a label is no whole number or not allowed.
    """
    spacing_mm = [float(size) for size in np.linalg.norm(reference.affine[:3, :3], axis=0)]
    scores = score_case(
        prediction,
        reference.array,
        spacing_mm,
        settings.final_classes,
        settings.metrics,
        options=settings.options,
        empty=settings.empty,
        labels=settings.labels,
        ignore_label=settings.ignore_label,
    )
    warnings = [] if settings.labels is not None else _unscored(prediction, reference.array, settings)
    diagonal_mm = image_diagonal_mm(reference.shape, spacing_mm)
    return Scored(id=identity, scores=scores, diagonal_mm=diagonal_mm, warnings=tuple(warnings))


def _unscored(prediction: Any, reference: Any, settings: ScoreSettings) -> list[str]:
    """A sentence for each label map with labels that are in no class."""
    known = {0, settings.ignore_label, *(label for members in settings.final_classes.values() for label in members)}
    warnings = []
    for role, array in (("prediction", prediction), ("reference", reference)):
        unscored = [label for label in present_labels(array) if label not in known]
        if unscored:
            names = _some([str(label) for label in unscored])
            what = f"label{'s' if len(unscored) > 1 else ''} {names}"
            warnings.append(f"the {role} holds the {what}, in no class and not scored. --labels refuses such cases.")
    return warnings
