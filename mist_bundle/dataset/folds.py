"""Which case is tested in which fold, and which training cases choose the best epoch.

Plain shuffled folds are those of scikit-learn's KFold(shuffle=True) on the sorted ids, hence MIST's own folds for the
same seed. Nothing here depends on the order in which the cases are given.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from mist_bundle.errors import InputError, Problem


def assign_folds(
    case_ids: Sequence[str],
    num_folds: int,
    seed: int,
    groups: Mapping[str, str] | None = None,
    fold_file: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Give each case the fold in which it is held out for testing.

    Args:
        case_ids: all cases, in any order.
        num_folds: number of folds, at least 2.
        seed: seed of the shuffle.
        groups: case id -> group (site, patient …); cases of one group always share a fold. With as many groups as
            folds this is leave-one-group-out.
        fold_file: case id -> fold chosen by the user, taken as it is. Ids that are not in `case_ids` are ignored
            (their cases may have been excluded).

    Returns:
        Case id -> fold in [0, num_folds), sorted by id. No fold is empty.

    Raises:
        InputError: more folds than cases or groups, a case without a group or fold, a fold out of range or empty.
    """
    ids = sorted(case_ids)
    _check_ids(ids, num_folds)
    if fold_file is not None:
        return _checked_fold_file(ids, num_folds, fold_file)
    if groups is not None:
        return _group_folds(ids, num_folds, seed, groups)
    order = np.random.RandomState(seed).permutation(len(ids))
    folds = np.empty(len(ids), dtype=int)
    for fold, members in enumerate(np.array_split(order, num_folds)):
        folds[members] = fold
    return {case_id: int(fold) for case_id, fold in zip(ids, folds, strict=True)}


def inner_validation(
    train_ids: Sequence[str], fraction: float, seed: int, groups: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Choose the training cases that select the best epoch, so that the test fold never does.

    Args:
        train_ids: the cases of the other folds, in any order.
        fraction: share of them to set aside, in [0, 1). At least one case is taken when it is above 0,
            and at least one is left.
        seed: seed of the draw.
        groups: case id -> group; whole groups are set aside while at least one other group is left.

    Returns:
        The ids set aside, sorted; empty when the fraction is 0 or there are fewer than two cases.

    Raises:
        InputError: the fraction is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise InputError(Problem("val_fraction", f"is {fraction}; expected a number from 0 up to, not including, 1."))
    units: dict[str, list[str]] = {}
    for case_id in sorted(set(train_ids)):
        units.setdefault(groups.get(case_id, case_id) if groups else case_id, []).append(case_id)
    if len(units) == 1:  # a single group cannot be split into two; its cases have to be
        units = {case_id: [case_id] for case_id in sorted(set(train_ids))}
    total = len(set(train_ids))
    if fraction == 0 or len(units) < 2:
        return ()
    wanted = max(1, math.floor(fraction * total + 0.5))
    names = sorted(units)
    chosen: list[str] = []
    for index in np.random.RandomState(seed).permutation(len(names))[: len(names) - 1]:
        if len(chosen) >= wanted:
            break
        chosen.extend(units[names[index]])
    return tuple(sorted(chosen))


def _check_ids(ids: Sequence[str], num_folds: int) -> None:
    repeated = sorted({first for first, second in itertools.pairwise(ids) if first == second})
    if repeated:
        raise InputError(Problem("cases", f"the ids {repeated} occur more than once; every case needs its own id."))
    if num_folds < 2:
        raise InputError(Problem("folds", f"is {num_folds}; cross-validation needs at least 2 folds."))
    if len(ids) < 2:
        usable = f"{len(ids)} usable case" + ("" if len(ids) == 1 else "s")
        raise InputError(Problem("folds", f"is {num_folds}, but there is only {usable}; at least 2 are needed."))
    if num_folds > len(ids):
        message = f"is {num_folds}, but there are only {len(ids)} cases. Ask for at most {len(ids)} folds."
        raise InputError(Problem("folds", message))


def _checked_fold_file(ids: Sequence[str], num_folds: int, fold_file: Mapping[str, int]) -> dict[str, int]:
    absent = [case_id for case_id in ids if case_id not in fold_file]
    problems = [Problem(case_id, "has no fold in the fold file. Add it.") for case_id in absent]
    for case_id in ids:
        fold = fold_file.get(case_id, 0)
        if not 0 <= fold < num_folds:
            problems.append(Problem(case_id, f"is in fold {fold}; expected 0 to {num_folds - 1}."))
    empty = sorted(set(range(num_folds)) - {fold_file.get(case_id, 0) for case_id in ids})
    if empty and not problems:
        problems.append(Problem("fold file", f"no case is in fold {empty}; every fold needs one. Ask for fewer folds."))
    if problems:
        raise InputError(problems)
    return {case_id: int(fold_file[case_id]) for case_id in ids}


def _group_folds(ids: Sequence[str], num_folds: int, seed: int, groups: Mapping[str, str]) -> dict[str, int]:
    missing = [case_id for case_id in ids if not groups.get(case_id)]
    if missing:
        raise InputError([Problem(case_id, "has no group. Name one for every case.") for case_id in missing])
    members: dict[str, list[str]] = {}
    for case_id in ids:
        members.setdefault(groups[case_id], []).append(case_id)
    if len(members) < num_folds:
        message = f"is {num_folds}, but there are only {len(members)} groups {sorted(members)}. Ask for fewer folds."
        raise InputError(Problem("folds", message))
    names = sorted(members)
    shuffled = [names[index] for index in np.random.RandomState(seed).permutation(len(names))]
    folds: dict[str, int] = {}
    sizes = [0] * num_folds
    # largest group first into the smallest fold: at most one group apart from balance, and empty folds fill first
    for name in sorted(shuffled, key=lambda group: -len(members[group])):
        fold = sizes.index(min(sizes))
        sizes[fold] += len(members[name])
        folds.update(dict.fromkeys(members[name], fold))
    return dict(sorted(folds.items()))
