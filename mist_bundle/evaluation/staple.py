"""STAPLE: what several label maps agree on, each weighed by how well it agrees with the consensus.

Expectation maximisation over the true label of every voxel and, for each map, the probability of its saying j where c
is true (Warfield et al., TMI 2004, doi:10.1109/TMI.2004.828354; for several labels Rohlfing et al., IPMI 2003). The
model is that of ITK's MultiLabelSTAPLE: labels are as frequent as in all maps together, and voxels do not know their
neighbours. It begins with the majority vote, a voxel whose votes tie being shared by the tied labels (without their
share such labels could never win, and two maps would have a consensus only where they agree).

A voxel enters by its votes alone, and of those there are few different combinations: the iterations run over these, not
over the voxels, which makes them a thousand times faster than ITK's on a brain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAX_ITERATIONS = 1000
_SMALLEST_UPDATE = 1e-5  # ITK's
_TIE = 1e-9  # probabilities that differ by less than this share are equal
_LARGEST_TABLE = 1 << 22


def staple_labels(labels: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The most probable label of every voxel.

    Args:
        labels: maps of whole numbers, all of one shape.

    Returns:
        The labels, and where they are decided: where one label is more probable than all others.
    """
    values = np.unique(np.concatenate([np.unique(one) for one in labels]))
    votes, counts, combination = _combinations([np.searchsorted(values, one) for one in labels], len(values))
    probabilities = _maximize(votes, counts.astype(np.float64), len(values))
    best = np.argmax(probabilities, axis=1)
    ordered = np.sort(probabilities, axis=1)
    decided = ordered[:, -1] > 0
    if len(values) > 1:
        decided &= ordered[:, -2] < ordered[:, -1] * (1 - _TIE)
    shape = labels[0].shape
    return values[best][combination].reshape(shape), decided[combination].reshape(shape)


def _combinations(
    numbers: Sequence[NDArray[np.intp]], num_labels: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The different combinations of votes (n, maps), how many voxels have each, and which one each voxel has."""
    codes = np.zeros(numbers[0].size, dtype=np.int64)
    for one in numbers:
        codes = codes * num_labels + one.ravel()
    size = num_labels ** len(numbers)
    if size <= _LARGEST_TABLE:
        table = np.bincount(codes, minlength=size)
        present = np.flatnonzero(table)
        place = np.zeros(size, dtype=np.intp)
        place[present] = np.arange(len(present))
        combination, counts = place[codes], table[present]
    else:
        stacked = np.stack([one.ravel() for one in numbers], axis=1)
        votes, combination, counts = np.unique(stacked, axis=0, return_inverse=True, return_counts=True)
        return votes, counts, combination.ravel()
    votes = np.stack(np.unravel_index(present, (num_labels,) * len(numbers)), axis=1)
    return votes, counts, combination


def _maximize(votes: NDArray[np.intp], counts: NDArray[np.float64], num_labels: int) -> NDArray[np.float64]:
    """(combinations, labels) how probable each label is, up to a factor for each combination."""
    one_hot = np.eye(num_labels)[votes]  # (combinations, maps, labels)
    prior = (counts[:, None, None] * one_hot).sum(axis=(0, 1))
    prior /= prior.sum()
    agreement = one_hot.sum(axis=1)
    leading = agreement == agreement.max(axis=1, keepdims=True)
    weights = leading / leading.sum(axis=1, keepdims=True)
    confusion = _confusion(one_hot, counts, weights)
    likelihood = weights
    for _ in range(_MAX_ITERATIONS):
        likelihood = prior * np.prod([confusion[place, votes[:, place]] for place in range(votes.shape[1])], axis=0)
        total = likelihood.sum(axis=1, keepdims=True)
        weights = np.divide(likelihood, total, out=np.zeros_like(likelihood), where=total > 0)
        before, confusion = confusion, _confusion(one_hot, counts, weights)
        if np.abs(confusion - before).max() < _SMALLEST_UPDATE:
            break
    return np.asarray(likelihood)


def _confusion(
    one_hot: NDArray[np.float64], counts: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(maps, said, true): the probability that a map says a label where another one is true."""
    sums: NDArray[np.float64] = np.einsum("nkj,nc->kjc", one_hot, counts[:, None] * weights)
    total = sums.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(sums, total, out=np.zeros_like(sums), where=total > 0), dtype=np.float64)
