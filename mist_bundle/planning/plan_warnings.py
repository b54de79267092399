"""Warnings about the data and what a plan does with them, to be read before training. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from mist_bundle.dataset.sides import named_classes, side_pairs
from mist_bundle.errors import Problem
from mist_bundle.planning import rules
from mist_bundle.planning.data_checks import MAX_GRID_BYTES
from mist_bundle.planning.flips import LEFT_RIGHT_AXIS
from mist_bundle.runtime.wording import counted, inflected, list_names

if TYPE_CHECKING:
    from mist_bundle.analysis.case_stats import CaseStats
    from mist_bundle.analysis.fingerprint import Fingerprint
    from mist_bundle.dataset.spec import DatasetSpec
    from mist_bundle.planning.plan import Plan

_NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?")
_MANY_ALIKE = 4  # cases with the same warning that share a line


def plan_warnings(
    spec: DatasetSpec, fingerprint: Fingerprint, plan: Plan, folds: Mapping[str, int]
) -> tuple[Problem, ...]:
    """Collect all warnings about the data and the plan; equal warnings about many cases share a line."""
    warnings = [
        *fingerprint.findings(spec.channel_names, spec.modality),
        *_lost_in_resampling(fingerprint.cases, plan),
        *_missing_in_folds(fingerprint.cases, plan, folds),
        *_mirrored_classes(spec, plan),
    ]
    distinct = list(dict.fromkeys(warnings))
    return tuple(group_alike(distinct, fingerprint.case_ids))


def group_alike(problems: Sequence[Problem], case_ids: Sequence[str]) -> list[Problem]:
    """Merge warnings of four cases or more that are equal except for numbers: "each of 4 cases (a, b, c, d): …"."""
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.path in case_ids:
            key = _NUMBER.sub("#", problem.message.replace(problem.path, "*"))
        else:
            key = f"{problem.path}: "  # no message begins so: never grouped with warnings of cases
        groups.setdefault(key, []).append(problem)
    merged: list[Problem] = []
    for members in groups.values():
        if len(members) < _MANY_ALIKE or members[0].path not in case_ids:
            merged += members
        else:
            merged.append(_merge(members))
    return merged


def _merge(problems: Sequence[Problem]) -> Problem:
    first = problems[0]
    named = list_names([problem.path for problem in problems])
    message = first.message
    if len({problem.message for problem in problems}) > 1:
        message += f" The numbers are those of {first.path}."
    return Problem(f"each of {len(problems)} cases ({named})", message)


def _lost_in_resampling(cases: Sequence[CaseStats], plan: Plan) -> Iterator[Problem]:
    """Labels of which no voxel may be left on the plan's grid, and images too large for it."""
    if plan.skip_preprocessing:
        return
    spacing_mm = plan.target_spacing_mm.value
    grid = f"on the plan's grid of {rules.joined(spacing_mm)} mm"
    for case in cases:
        shape = rules.resampled_shape(case.shape, case.spacing_mm, spacing_mm)
        if 4 * prod(shape) > MAX_GRID_BYTES:
            message = f"would have {rules.joined(shape)} voxels {grid} and cannot be prepared. "
            yield Problem(case.id, message + "Repair the spacing in its header, or remove the case.")
            continue
        share = prod(case.spacing_mm) / prod(spacing_mm)  # voxels of the grid for each voxel of the file
        lost = _lost_labels(case, plan, share)
        if lost:
            advice = "A finer --target_spacing would keep it." if share > 1e-3 else "Look at the spacing in its header."
            yield Problem(case.id, f"loses {', '.join(lost)}: less than 1 voxel is left {grid}. {advice}")


def _lost_labels(case: CaseStats, plan: Plan, share: float) -> list[str]:
    names = dict(zip(plan.labels, plan.label_names, strict=True))
    lost = []
    for label, count in case.label_voxels.items():
        if label != 0 and 0 < count * share < 1:
            lost.append(f"{names[label]} ({counted(count, 'voxel')})")
    return lost


def _missing_in_folds(cases: Sequence[CaseStats], plan: Plan, folds: Mapping[str, int]) -> Iterator[Problem]:
    """Labels that only the test cases of a fold hold, so that its network cannot learn them."""
    for label, name in zip(plan.labels, plan.label_names, strict=True):
        holders = [case.id for case in cases if case.label_voxels.get(label)]
        holding_folds = {folds[case_id] for case_id in holders}
        if label == 0 or len(holding_folds) != 1:
            continue
        (fold,) = holding_folds
        verb = inflected(len(holders), "holds", "hold")
        message = (
            f"is in no training case of fold {fold}: only {list_names(holders)} {verb} it. It cannot be learnt there"
        )
        yield Problem(f"label {label} ({name})", f"{message}; add cases, or choose the folds with --fold_file.")


def _mirrored_classes(spec: DatasetSpec, plan: Plan) -> Iterator[Problem]:
    """Classes that differ by their side only, while images are mirrored from left to right."""
    axes = {*plan.flip_axes.value, *plan.test_time_flip_axes.value}
    if LEFT_RIGHT_AXIS not in axes:
        return
    pairs = []
    for pair in side_pairs(named_classes(spec.label_names, spec.final_classes)):
        pairs.append(f"{pair.left} and {pair.right}")
    if pairs:
        others = ",".join(map(str, sorted(axes - {LEFT_RIGHT_AXIS}))) or "[]"
        message = f"{'; '.join(pairs)} differ by their side only, but images are flipped from left to right. "
        yield Problem("classes", f"{message}Keep left and right apart with --flip_axes {others}.")
