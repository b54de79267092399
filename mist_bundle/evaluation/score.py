"""Score predictions against their references.

Headers are checked, cases that fail are named and counted, and the scores of the others are written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mist_bundle.catalog.metrics import DEFAULT_METRICS, metric_name, unknown_metrics
from mist_bundle.dataset.integrity import check_headers
from mist_bundle.dataset.sides import right_of_left, side_pairs
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError, Problem, count_paths, problems_of
from mist_bundle.evaluation.label_files import read_all
from mist_bundle.evaluation.pairs import Classes, Pair, Pairing
from mist_bundle.evaluation.remarks import gathered_remarks
from mist_bundle.parallel import map_cases
from mist_bundle.runtime.metrics.case import (
    EmptyRule,
    check_metrics,
    image_diagonal_mm,
    present_labels,
    score_case,
    without_unknown,
)
from mist_bundle.runtime.metrics.table import ID, Summary, undefined_values, write_results
from mist_bundle.runtime.numerics.grid import spacing_of
from mist_bundle.runtime.numerics.labels import as_labels
from mist_bundle.runtime.wording import inflected, list_names

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreSettings:
    """How predictions are scored.

    Attributes:
        final_classes: name of each class to its label values.
        metrics: names on the menu.
        options: of metrics, such as {"surface_dice": {"tolerance_mm": 2}}.
        empty: the score of a class that is missing from the prediction, the reference or both.
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
        scores: column (see runtime/metrics/columns.py) -> value.
        diagonal_mm: diagonal of its image, the scale of its distances.
        warnings: irregularities of its files that do not prevent scoring them.
        absent: classes of which neither reference nor prediction holds a voxel.
    """

    id: str
    scores: dict[str, float]
    diagonal_mm: float
    warnings: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def row(self) -> dict[str, Any]:
        """The row of the table of results."""
        return {ID: self.id, **self.scores}

    def with_remarks(self, *remarks: str) -> Scored:
        """The same scores, with further warnings before those that are known."""
        return replace(self, warnings=tuple(dict.fromkeys((*remarks, *self.warnings))))


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredCases:
    """The scored cases, sorted by id, and a Problem for each case that failed."""

    cases: tuple[Scored, ...]
    problems: tuple[Problem, ...]

    @property
    def num_cases(self) -> int:
        """Scored and failed cases."""
        return len(self.cases) + count_paths(self.problems)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Irregularities of the cases, and values that the statistics leave out."""
        remarks = []
        for case in self.cases:
            remarks.append((case.id, case.warnings))
        problems = list(gathered_remarks(remarks))
        for name in self._never_there():
            message = "occurs in no reference and no prediction; its scores say nothing. Check its labels in --classes."
            problems.append(Problem(f"class {name}", message))
        for column, ids in undefined_values(self._rows).items():
            share = f"has no value in {len(ids)} of {len(self.cases)} cases"
            problems.append(Problem(column, f"{share}; the statistics leave out {list_names(ids)}."))
        return tuple(problems)

    def _never_there(self) -> list[str]:
        """The classes that no case holds."""
        if not self.cases:
            return []
        names = set(self.cases[0].absent)
        for case in self.cases[1:]:
            names.intersection_update(case.absent)
        return sorted(names)

    def write(self, output: Path) -> Summary:
        """Write results.csv and, beside it, a JSON file of the same name that also names the failed cases.

        Returns:
            Column -> statistic -> value over the scored cases.
        """
        reasons: dict[str, list[str]] = {}
        for problem in self.problems:
            reasons.setdefault(problem.path, []).append(problem.message)
        failed = dict(zip(reasons, map("; ".join, reasons.values()), strict=True))
        return write_results(output, self._rows, failed)

    @property
    def _rows(self) -> list[dict[str, Any]]:
        return [case.row for case in self.cases]


def settings_from(
    classes: Classes,
    metrics: Sequence[str],
    options: Mapping[str, Mapping[str, float]] | None = None,
    empty: EmptyRule | None = None,
) -> ScoreSettings:
    """Checked settings. Aliases of metrics are replaced by their names.

    Raises:
        InputError: listing all problems.
    """
    names = tuple(dict.fromkeys(map(metric_name, metrics)))
    chosen = {}
    for name, values in (options or {}).items():
        chosen[metric_name(name)] = dict(values)
    rule = empty or EmptyRule()
    problems = problems_of("--metrics", unknown_metrics(metrics))
    if not names:
        problems.append(Problem("--metrics", "names no metric."))
    if not problems:
        problems += problems_of("--metric_options", check_metrics(names, chosen))
    problems += problems_of("--both_empty, --one_empty", rule.findings())
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


def score_files(pairing: Pairing, settings: ScoreSettings, workers: int | str | None = None) -> ScoredCases:
    """Score pairs of files in parallel.

    Raises:
        InputError: no case could be scored; lists the problems of all cases.
    """
    scored, problems = map_pairs(partial(score_pair, settings=settings), pairing, "evaluate", workers)
    return ScoredCases(cases=tuple(sorted(scored, key=lambda case: case.id)), problems=problems)


def map_pairs(
    function: Callable[[Pair], Result], pairing: Pairing, verb: str, workers: int | str | None = None
) -> tuple[list[Result], tuple[Problem, ...]]:
    """Apply a function to all pairs of files in parallel; returns its results and the problems of all cases.

    Raises:
        InputError: it failed for every pair; lists the problems of all cases.
    """
    done = map_cases(
        function,
        pairing.pairs,
        name=lambda pair: pair.id,
        workers=workers,
        description=verb,
        case_bytes=pairing.case_bytes,
    )
    problems = (*pairing.problems, *done.problems)
    if not done.results:
        raise InputError(problems or Problem(verb, "there is no case to score."))
    return done.results, problems


def score_pair(pair: Pair, settings: ScoreSettings) -> Scored:
    """Read and score a pair.

    Raises:
        InputError: a file is damaged, the headers disagree, or a label is not allowed.
    """
    reference, prediction = read_pair(pair)
    try:
        scored = score_arrays(pair.id, prediction.array, reference, settings, pair.unlabelled)
    except ValueError as error:
        raise InputError(Problem(f"{pair.prediction} against {pair.reference}", str(error))) from error
    scored = replace(scored, warnings=(*scored.warnings, *_contrary_sides(prediction, reference, settings)))
    return scored.with_remarks(*reference.warnings, *prediction.warnings)


def read_pair(pair: Pair) -> tuple[Volume, Volume]:
    """Read reference and prediction, which lie on the same grid.

    Raises:
        InputError: a file is damaged, or the headers disagree.
    """
    reference, prediction = read_all(read_volume, (pair.reference, pair.prediction))
    reference = reference.on_grid_of(prediction)
    findings = check_headers(reference, prediction)
    if findings:
        raise InputError(problems_of(str(pair.prediction), findings))
    return reference, prediction


def score_arrays(
    identity: str, prediction: Any, reference: Volume, settings: ScoreSettings, unlabelled: Collection[int] = ()
) -> Scored:
    """Score a label map that lies on the grid of its reference.

    Classes with labels that were not annotated in the reference (`unlabelled`) have no value (NaN).

    Raises:
        ValueError: a label is not a whole number or not allowed.
    """
    spacing_mm = spacing_of(reference.affine).tolist()
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
    scores = without_unknown(scores, settings.final_classes, settings.metrics, unlabelled)
    warnings: list[str] = []
    if settings.labels is None:  # otherwise score_case has refused labels of no class
        warnings = _unscored(prediction, reference.array, settings)
    diagonal_mm = image_diagonal_mm(reference.shape, spacing_mm)
    absent = _absent(prediction, reference.array, settings)
    return Scored(id=identity, scores=scores, diagonal_mm=diagonal_mm, warnings=tuple(warnings), absent=absent)


def _contrary_sides(prediction: Volume, reference: Volume, settings: ScoreSettings) -> list[str]:
    """A sentence for each label map in which a left class lies to the patient's right of its right counterpart."""
    pairs = side_pairs(settings.final_classes)
    findings = []
    for role, volume in (("the prediction", prediction), ("the reference", reference)):
        distances = right_of_left(as_labels(volume.array), volume.affine, pairs) if pairs else {}
        for pair in pairs:
            findings.append(pair.finding(distances.get(pair.structure, 0.0), role))
    return list(filter(None, findings))


def _absent(prediction: Any, reference: Any, settings: ScoreSettings) -> tuple[str, ...]:
    """The classes of which neither label map holds a voxel."""
    there = {*present_labels(prediction), *present_labels(reference)}
    absent = []
    for name, labels in settings.final_classes.items():
        if there.isdisjoint(labels):
            absent.append(name)
    return tuple(absent)


def _unscored(prediction: Any, reference: Any, settings: ScoreSettings) -> list[str]:
    """A sentence for each label map with labels that belong to no class."""
    known = {0, settings.ignore_label}
    for labels in settings.final_classes.values():
        known.update(labels)
    warnings = []
    for role, array in (("prediction", prediction), ("reference", reference)):
        unscored = [str(label) for label in present_labels(array) if label not in known]
        if unscored:
            noun = inflected(len(unscored), "label")
            names = list_names(unscored)
            warnings.append(
                f"the {role} holds the {noun} {names}, in no class and not scored. --labels refuses such cases."
            )
    return warnings
