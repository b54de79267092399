"""Folds that resemble each other: in number of cases, and in classes, volumes and sites where the user wishes it.

A property that a case can have ("liver", "site B", "second quarter of volumes") is a stratum. Groups are assigned one
by one to the fold that they fit best, the largest first, as in Sechidis et al., "On the stratification of multi-label
data", ECML 2011. Moves and swaps of groups then improve the result until none helps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Members = Mapping[str, Sequence[str]]  # group -> its cases
Strata = Mapping[str, Sequence[str]]  # case id -> the strata that it belongs to
Counts = NDArray[np.float64]

_SIZE_WEIGHT = 4.0  # of the number of cases against all strata together
_MAX_ROUNDS = 20
_SMALL = 1e-12


def balanced_folds(
    members: Members, strata: Strata, num_folds: int, seed: int, start: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Assign groups to folds so that every fold has its share of each stratum.

    Args:
        members: the groups; no fewer than folds.
        strata: of each case.
        num_folds: at least 2.
        seed: of the order among groups of the same size.
        start: group -> fold of a random split; the result is never less balanced by `imbalance`.

    Returns:
        Group -> fold. No fold is empty.
    """
    names = sorted(members)
    shares = _shares(members, strata, names)
    candidates = [_improved(_greedy(shares, num_folds, seed), shares, num_folds)]
    if start is not None:
        given = np.array([start[name] for name in names])
        candidates.append(_improved(given, shares, num_folds))
    best = min(candidates, key=lambda folds: _imbalance(folds, shares, num_folds))
    return dict(zip(names, best.tolist(), strict=True))


def imbalance(members: Members, strata: Strata, folds: Mapping[str, int], num_folds: int) -> float:
    """How far the folds are from equal shares: 0 if each holds the same part of the cases and of every stratum.

    Args:
        members: the groups.
        strata: of each case.
        folds: group -> fold.
        num_folds: number of folds.

    Returns:
        The squared difference from the equal share, summed over folds: of the cases, times 4, plus the mean over
        strata.
    """
    names = sorted(members)
    assigned = np.array([folds[name] for name in names])
    return _imbalance(assigned, _shares(members, strata, names), num_folds)


def _shares(members: Members, strata: Strata, names: Sequence[str]) -> Counts:
    """(groups, strata) part of each stratum that lies in a group, weighted; the first column is the cases."""
    found: set[str] = set()
    for own in strata.values():
        found.update(own)
    columns = {stratum: index for index, stratum in enumerate(sorted(found), start=1)}
    counts = np.zeros((len(names), 1 + len(columns)))
    for row, name in enumerate(names):
        for case_id in members[name]:
            counts[row, 0] += 1
            for stratum in strata.get(case_id, ()):
                counts[row, columns[stratum]] += 1
    shares: Counts = counts / np.maximum(counts.sum(axis=0), 1)
    weights = np.full(counts.shape[1], 1 / max(1, len(columns)))
    weights[0] = _SIZE_WEIGHT
    weighted: Counts = shares * np.sqrt(weights)
    return weighted


def _fold_sums(folds: NDArray[np.int_], shares: Counts, num_folds: int) -> Counts:
    sums = np.zeros((num_folds, shares.shape[1]))
    np.add.at(sums, folds, shares)
    return sums


def _imbalance(folds: NDArray[np.int_], shares: Counts, num_folds: int) -> float:
    sums = _fold_sums(folds, shares, num_folds)
    return float(((sums - shares.sum(axis=0) / num_folds) ** 2).sum())


def _greedy(shares: Counts, num_folds: int, seed: int) -> NDArray[np.int_]:
    random_order = np.random.RandomState(seed).permutation(len(shares))
    order = random_order[np.argsort(-shares[random_order, 0], kind="stable")]
    target = shares.sum(axis=0) / num_folds
    sums = np.zeros((num_folds, shares.shape[1]))
    sizes = np.zeros(num_folds, dtype=int)
    folds = np.zeros(len(shares), dtype=int)
    for done, group in enumerate(order):
        # change of the sum of squares if the group goes into each fold
        costs = (2 * (sums - target) * shares[group] + shares[group] ** 2).sum(axis=1)
        empty = np.flatnonzero(sizes == 0)
        allowed = empty if len(order) - done <= len(empty) else np.arange(num_folds)
        fold = allowed[np.argmin(costs[allowed])]
        folds[group] = fold
        sums[fold] += shares[group]
        sizes[fold] += 1
    return folds


def _improved(folds: NDArray[np.int_], shares: Counts, num_folds: int) -> NDArray[np.int_]:
    """The folds after the best move or swap of each group in turn, until a round changes nothing."""
    folds = folds.copy()
    sums = _fold_sums(folds, shares, num_folds)
    for _ in range(_MAX_ROUNDS):
        changed = False
        for group in range(len(shares)):
            changed |= _move(group, folds, sums, shares) or _swap(group, folds, sums, shares)
        if not changed:
            break
    return folds


def _move(group: int, folds: NDArray[np.int_], sums: Counts, shares: Counts) -> bool:
    """Move a group to the fold where the imbalance falls most; False if it falls nowhere."""
    own = folds[group]
    if (folds == own).sum() == 1:
        return False  # its fold would be empty
    share = shares[group]
    # (s + x)^2 - s^2 in the other fold plus (s - x)^2 - s^2 in its own; the targets cancel out
    change = 2 * ((sums - sums[own] + share) * share).sum(axis=1)
    change[own] = 0
    best = int(np.argmin(change))
    if change[best] >= -_SMALL:
        return False
    sums[own] -= share
    sums[best] += share
    folds[group] = best
    return True


def _swap(group: int, folds: NDArray[np.int_], sums: Counts, shares: Counts) -> bool:
    """Swap a group with that of another fold by which the imbalance falls most; False if it falls by none."""
    own = folds[group]
    difference = shares - shares[group]  # what its fold would gain and the other lose
    change = 2 * (difference * (sums[own] - sums[folds] + difference)).sum(axis=1)
    change[folds == own] = 0
    best = int(np.argmin(change))
    if change[best] >= -_SMALL:
        return False
    sums[own] += difference[best]
    sums[folds[best]] -= difference[best]
    folds[group], folds[best] = folds[best], own
    return True
