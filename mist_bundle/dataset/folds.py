"""Assignment of cases to folds, and of training cases to the validation set that selects the best epoch.

Plain shuffled folds equal those of scikit-learn's KFold(shuffle=True) on the sorted ids, hence MIST's own folds for the
same seed. The order of the cases has no influence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from mist_bundle.dataset.balanced_folds import Strata, balanced_folds
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.wording import counted


def assign_folds(
    case_ids: Sequence[str],
    num_folds: int,
    seed: int,
    groups: Mapping[str, str] | None = None,
    fold_file: Mapping[str, int] | None = None,
    strata: Strata | None = None,
) -> dict[str, int]:
    """Assign each case to the fold in which it is held out for testing.

    Args:
        case_ids: all cases, in any order.
        num_folds: number of folds, at least 2.
        seed: seed of the shuffle.
        groups: case id -> group (site, patient …); cases of a group always share a fold. With as many groups as
            folds this is leave-one-group-out.
        fold_file: case id -> fold chosen by the user. Ids that are not in `case_ids` are ignored (their cases may have
            been excluded).
        strata: properties of each case (a class, a site, a quarter of the volumes) of which every fold gets its share;
            None for a random split.

    Returns:
        Case id -> fold in [0, num_folds), sorted by id. No fold is empty.

    Raises:
        InputError: more folds than cases or groups, a case without a group or fold, a fold out of range or empty.
    """
    ids = sorted(case_ids)
    _check_ids(ids, num_folds)
    if fold_file is not None:
        return _checked_fold_file(ids, num_folds, fold_file)
    folds = _random_folds(ids, num_folds, seed) if groups is None else _group_folds(ids, num_folds, seed, groups)
    if strata is None:
        return folds
    members = _members(ids, groups)
    start = {name: folds[group_ids[0]] for name, group_ids in members.items()}
    fold_of = balanced_folds(members, strata, num_folds, seed, start)
    return _of_cases(members, fold_of)


def leave_one_out(groups: Mapping[str, str]) -> dict[str, int]:
    """Make a fold of each group (site, scanner …), in the order of their names.

    Args:
        groups: case id -> group.

    Returns:
        Case id -> fold, sorted by id.

    Raises:
        InputError: there are fewer than two groups.
    """
    names = sorted(set(groups.values()))
    if len(names) < 2:
        message = f"names a column with the single value {names}; there is nothing to leave out. Name another column."
        raise InputError(Problem("--leave_out", message))
    return {case_id: names.index(groups[case_id]) for case_id in sorted(groups)}


def _of_cases(members: Mapping[str, Sequence[str]], fold_of: Mapping[str, int]) -> dict[str, int]:
    folds = {}
    for name, case_ids in members.items():
        folds.update(dict.fromkeys(case_ids, fold_of[name]))
    return dict(sorted(folds.items()))


def _random_folds(ids: Sequence[str], num_folds: int, seed: int) -> dict[str, int]:
    order = np.random.RandomState(seed).permutation(len(ids))
    folds = np.empty(len(ids), dtype=int)
    for fold, members in enumerate(np.array_split(order, num_folds)):
        folds[members] = fold
    return dict(zip(ids, folds.tolist(), strict=True))


def inner_validation(
    train_ids: Sequence[str],
    fraction: float,
    seed: int,
    groups: Mapping[str, str] | None = None,
    strata: Strata | None = None,
) -> tuple[str, ...]:
    """Choose the training cases that select the best epoch, so that the test fold never does.

    Args:
        train_ids: cases of the other folds, in any order.
        fraction: share of them to set aside, in [0, 1). If it is above 0, at least 1 case is set aside and at least 1
            remains.
        seed: seed of the draw.
        groups: case id -> group; whole groups are set aside while another group remains.
        strata: properties of each case; the cases set aside then resemble the others (up to a fraction of a half).

    Returns:
        The ids set aside, sorted; empty if the fraction is 0 or there are fewer than two cases.

    Raises:
        InputError: the fraction is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise InputError(Problem("val_fraction", f"is {fraction}; expected a number from 0 up to, not including, 1."))
    ids = sorted(set(train_ids))
    members = _members(ids, groups)
    if len(members) == 1:  # a single group cannot be divided into two, but its cases can
        members = _members(ids, None)
    if fraction == 0 or len(members) < 2:
        return ()
    if strata is not None and fraction <= 0.5:
        parts = min(len(members), max(2, math.floor(1 / fraction + 0.5)))
        of_interest = {case_id: strata.get(case_id, ()) for case_id in ids}
        part_of = _of_cases(members, balanced_folds(members, of_interest, parts, seed))
        return tuple(case_id for case_id in ids if part_of[case_id] == 0)
    target = max(1, math.floor(fraction * len(ids) + 0.5))
    names = sorted(members)
    chosen: list[str] = []
    for index in np.random.RandomState(seed).permutation(len(names))[:-1]:
        if len(chosen) >= target:
            break
        chosen.extend(members[names[index]])
    return tuple(sorted(chosen))


def _members(ids: Sequence[str], groups: Mapping[str, str] | None) -> dict[str, list[str]]:
    """Group -> its cases; a case without a group is a group of its own."""
    members: dict[str, list[str]] = {}
    for case_id in ids:
        group = groups.get(case_id, case_id) if groups else case_id
        members.setdefault(group, []).append(case_id)
    return members


def _check_ids(ids: Sequence[str], num_folds: int) -> None:
    repeated = sorted(Counter(ids) - Counter(set(ids)))
    if repeated:
        raise InputError(Problem("cases", f"the ids {repeated} occur more than once; every case needs its own id."))
    if num_folds < 2:
        raise InputError(Problem("folds", f"is {num_folds}; cross-validation needs at least 2 folds."))
    if len(ids) < 2:
        message = f"is {num_folds}, but there is only {counted(len(ids), 'usable case')}; at least 2 are needed."
        raise InputError(Problem("folds", message))
    if num_folds > len(ids):
        message = f"is {num_folds}, but there are only {len(ids)} cases. Choose at most {len(ids)} folds."
        raise InputError(Problem("folds", message))


def _checked_fold_file(ids: Sequence[str], num_folds: int, fold_file: Mapping[str, int]) -> dict[str, int]:
    folds: dict[str, int] = {}
    problems: list[Problem] = []
    for case_id in ids:
        if case_id not in fold_file:
            problems.append(Problem(case_id, "has no fold in the fold file. Add it."))
            continue
        folds[case_id] = int(fold_file[case_id])
        if not 0 <= fold_file[case_id] < num_folds:
            problems.append(Problem(case_id, f"is in fold {fold_file[case_id]}; expected 0 to {num_folds - 1}."))
    empty = sorted(set(range(num_folds)) - set(folds.values()))
    if empty and not problems:
        problems.append(Problem("fold file", f"has no case in fold {empty}. Choose fewer folds."))
    if problems:
        raise InputError(problems)
    return folds


def _group_folds(ids: Sequence[str], num_folds: int, seed: int, groups: Mapping[str, str]) -> dict[str, int]:
    problems: list[Problem] = []
    for case_id in ids:
        if not groups.get(case_id):
            problems.append(Problem(case_id, "has no group. Name a group for every case."))
    if problems:
        raise InputError(problems)
    members = _members(ids, groups)
    names = sorted(members)
    if len(names) < num_folds:
        message = f"is {num_folds}, but there are only {len(names)} groups {names}. Choose fewer folds."
        raise InputError(Problem("folds", message))
    shuffled = np.random.RandomState(seed).permutation(names).tolist()
    folds: dict[str, int] = {}
    sizes = [0] * num_folds
    # The largest group goes into the smallest fold: the folds differ by a group at most, and empty folds fill first.
    for name in sorted(shuffled, key=lambda group: -len(members[group])):
        fold = sizes.index(min(sizes))
        sizes[fold] += len(members[name])
        folds.update(dict.fromkeys(members[name], fold))
    return dict(sorted(folds.items()))
