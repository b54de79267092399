"""What a person should hear about a plan before training by it: it stands, but something is odd. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from mist_bundle.errors import InputError, Problem
from mist_bundle.planning import rules

if TYPE_CHECKING:
    from mist_bundle.analysis.case_stats import CaseStats
    from mist_bundle.analysis.fingerprint import Fingerprint
    from mist_bundle.dataset.spec import DatasetSpec
    from mist_bundle.planning.plan import Plan

_NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?")
_MANY_ALIKE = 4  # cases with the same warning that share one line
_LEFT_RIGHT_AXIS = 0  # of L, P, S
_SIDES = {"left": "left", "l": "left", "lt": "left", "lh": "left", "right": "right", "r": "right", "rt": "right"}
_SIDES["rh"] = "right"
_MIN_MEDIAN_VOXELS = 27
_MAX_GRID_BYTES = 16e9  # of the median image, eight times what the rule for the spacing allows the largest


def refuse_nothing_to_learn(fingerprint: Fingerprint) -> None:
    """Raise InputError where no voxel of any case has a label."""
    if not any(count for label, count in fingerprint.class_voxels.items() if label != 0):
        message = f"hold no label other than 0 in all {len(fingerprint.cases)} cases: there is nothing to learn. "
        raise InputError(Problem("masks", message + 'Look at the files, and at "mask" in dataset.json.'))


def refuse_degenerate(fingerprint: Fingerprint, shape: Sequence[int], spacing_mm: Sequence[float], asked: bool) -> None:
    """Raise InputError where the median image has hardly a voxel on the grid of the plan, or no memory could hold it.

    Args:
        fingerprint: the cases, to name those that made it so.
        shape: of the median image on the grid.
        spacing_mm: of the grid.
        asked: whether the user asked for this spacing.
    """
    flat = sum(length < 3 for length in shape) > 1
    too_small = flat or prod(shape) < _MIN_MEDIAN_VOXELS
    too_large = 4 * prod(shape) > _MAX_GRID_BYTES
    if not (too_small or too_large):
        return
    grid = f"the median image has {rules.joined(shape)} voxels on a grid of {rules.joined(spacing_mm)} mm"
    what = "too few to learn from" if too_small else f"{4 * prod(shape) / 1e9:.0f} GB for each channel"
    if asked:
        raise InputError(Problem("--target_spacing", f"is {list(spacing_mm)}: {grid}, {what}. Ask for another one."))
    sizes = sorted(fingerprint.cases, key=lambda case: prod(case.spacing_mm))
    ends = [f"{case.id} (voxels of {rules.joined(case.spacing_mm)} mm)" for case in (sizes[0], sizes[-1])]
    message = f"{grid}, {what}. Look at the headers, first at those of {' and '.join(dict.fromkeys(ends))}."
    raise InputError(Problem("images", message))


def plan_doubts(
    spec: DatasetSpec, fingerprint: Fingerprint, plan: Plan, folds: Mapping[str, int]
) -> tuple[Problem, ...]:
    """All warnings about the data and what the plan does with them; those of many cases alike share one line."""
    found = [
        *fingerprint.findings(spec.channel_names, spec.modality),
        *_lost_in_resampling(fingerprint.cases, plan),
        *_missing_in_folds(fingerprint.cases, plan, folds),
        *_mirrored_classes(spec, plan),
    ]
    return tuple(together(list(dict.fromkeys(found)), fingerprint.case_ids))


def together(problems: Sequence[Problem], case_ids: Sequence[str]) -> list[Problem]:
    """One line for what is the same, numbers apart, in four cases or more: "12 cases (a, b, c …): …"."""
    known = set(case_ids)
    alike: dict[str, list[Problem]] = {}
    for problem in problems:
        own = problem.path in known
        key = _NUMBER.sub("#", problem.message.replace(problem.path, "*")) if own else f"{problem.path}: "
        alike.setdefault(key, []).append(problem)
    found: list[Problem] = []
    for members in alike.values():
        ids = [problem.path for problem in members]
        if len(members) < _MANY_ALIKE or ids[0] not in known:
            found += members
            continue
        messages = {problem.message for problem in members}
        numbers = f" The numbers are those of {ids[0]}." if len(messages) > 1 else ""
        found.append(Problem(f"{len(ids)} cases ({', '.join(ids[:3])} …)", f"{members[0].message}{numbers}"))
    return found


def _lost_in_resampling(cases: Sequence[CaseStats], plan: Plan) -> Iterator[Problem]:
    if plan.skip_preprocessing:
        return
    grid = plan.target_spacing_mm.value
    names = dict(zip(plan.labels, plan.label_names, strict=True))
    for case in cases:
        shape = rules.resampled_shape(case.shape, case.spacing_mm, grid)
        on_grid = f"on the plan's grid of {rules.joined(grid)} mm"
        if 4 * prod(shape) > _MAX_GRID_BYTES:
            size = f"would have {rules.joined(shape)} voxels {on_grid} and cannot be prepared"
            yield Problem(case.id, f"{size}. Repair the spacing in its header, or take the case out.")
            continue
        share = prod(case.spacing_mm) / prod(grid)  # voxels of the grid for each of the file
        lost = [label for label, count in case.label_voxels.items() if label != 0 and 0 < count * share < 1]
        if lost:
            words = ", ".join(f"{names[label]} ({_voxels(case.label_voxels[label])})" for label in lost)
            advice = "A finer --target_spacing would keep it." if share > 1e-3 else "Look at the spacing in its header."
            yield Problem(case.id, f"loses {words}: less than one voxel is left {on_grid}. {advice}")


def _voxels(count: int) -> str:
    return "1 voxel" if count == 1 else f"{count} voxels"


def _missing_in_folds(cases: Sequence[CaseStats], plan: Plan, folds: Mapping[str, int]) -> Iterator[Problem]:
    """Labels that a fold is tested with, but nobody trains on."""
    for label, name in zip(plan.labels, plan.label_names, strict=True):
        holders = [case.id for case in cases if case.label_voxels.get(label)]
        lacking = [fold for fold in range(plan.num_folds) if all(folds[one] == fold for one in holders)]
        if label == 0 or not holders or not lacking:
            continue
        only = f"only {', '.join(holders[:3])}{' …' if len(holders) > 3 else ''} hold{'s' * (len(holders) == 1)} it"
        message = f"is in no training case of fold {lacking[0]}: {only}. It cannot be learnt there"
        yield Problem(f"label {label} ({name})", f"{message}; add cases, or choose the folds with --fold_file.")


def _mirrored_classes(spec: DatasetSpec, plan: Plan) -> Iterator[Problem]:
    """Classes that differ by their side only, while images are mirrored from left to right."""
    axes = {*plan.flip_axes.value, *plan.test_time_flip_axes.value}
    if _LEFT_RIGHT_AXIS not in axes:
        return
    sides: dict[str, dict[str, str]] = {}
    for name in [*spec.final_classes, *spec.label_names.values()]:
        rest, side = _side_of(name)
        if side:
            sides.setdefault(rest, {}).setdefault(side, name)
    pairs = [f"{found['left']} and {found['right']}" for found in sides.values() if len(found) > 1]
    if pairs:
        others = ",".join(str(axis) for axis in sorted(axes - {_LEFT_RIGHT_AXIS})) or "[]"
        message = f"{'; '.join(pairs)} differ by their side only, but images are flipped from left to right. "
        yield Problem("classes", f"{message}Keep left and right apart with --flip_axes {others}.")


def _side_of(name: str) -> tuple[str, str]:
    """What is left of a name without its side, and the side: ("kidney", "left") of "Kidney_L"."""
    words = re.findall(r"[a-z]+|[0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    for index, word in enumerate(words):
        if word in _SIDES:
            return " ".join(words[:index] + words[index + 1 :]), _SIDES[word]
    return name, ""
