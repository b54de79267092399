"""STAPLE: the consensus of several label maps, each weighted by how well it agrees with the consensus.

Expectation maximisation over the true label of every voxel and, for each map, the probability that it says j where c is
true (Warfield et al., TMI 2004, doi:10.1109/TMI.2004.828354; for several labels Rohlfing et al., IPMI 2003). The model
is that of ITK's MultiLabelSTAPLE: labels are as frequent as in all maps together, and voxels are independent of their
neighbours. The iteration starts from the majority vote, in which tied labels share a voxel (otherwise they could never
win, and two maps would only have a consensus where they agree).

Voxels with the same votes are equivalent, and there are few different combinations of votes. Iterating over these
combinations instead of voxels is a thousand times faster than ITK on a brain.
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
        labels: maps of whole numbers, all of the same shape.

    Returns:
        The labels, and a mask of the voxels where a label is more probable than all others.
    """
    values = np.unique(np.concatenate(list(map(np.unique, labels))))
    indices = [np.searchsorted(values, label_map) for label_map in labels]
    votes, counts, combination = _combinations(indices, len(values))
    probabilities = _maximize(votes, counts.astype(np.float64), len(values))
    best = np.argmax(probabilities, axis=1)
    ordered = np.sort(probabilities, axis=1)
    decided = ordered[:, -1] > 0
    if len(values) > 1:
        decided &= ordered[:, -2] < ordered[:, -1] * (1 - _TIE)
    shape = labels[0].shape
    return values[best][combination].reshape(shape), decided[combination].reshape(shape)


def _combinations(
    indices: Sequence[NDArray[np.intp]], num_labels: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The different combinations of votes.

    Args:
        indices: for each map the index of the label of every voxel.
        num_labels: number of labels.

    Returns:
        The combinations (n, maps), the number of voxels with each (n,), and the combination of each voxel (voxels,).
    """
    num_codes = num_labels ** len(indices)
    if num_codes > _LARGEST_TABLE:  # sorting is slower than counting, but needs no table of all combinations
        stacked = np.stack([index.ravel() for index in indices], axis=1)
        votes, combination, counts = np.unique(stacked, axis=0, return_inverse=True, return_counts=True)
        return votes, counts, combination.ravel()
    codes = np.zeros(indices[0].size, dtype=np.int64)
    for index in indices:
        codes = codes * num_labels + index.ravel()
    table = np.bincount(codes, minlength=num_codes)
    present = np.flatnonzero(table)
    position = np.zeros(num_codes, dtype=np.intp)
    position[present] = np.arange(len(present))
    votes = np.stack(np.unravel_index(present, (num_labels,) * len(indices)), axis=1)
    return votes, table[present], position[codes]


def _maximize(votes: NDArray[np.intp], counts: NDArray[np.float64], num_labels: int) -> NDArray[np.float64]:
    """(combinations, labels) probability of each label, up to a factor per combination."""
    one_hot = np.eye(num_labels)[votes]  # (combinations, maps, labels)
    num_maps = votes.shape[1]
    prior = (counts[:, None, None] * one_hot).sum(axis=(0, 1))
    prior /= prior.sum()
    agreement = one_hot.sum(axis=1)
    leading = agreement == agreement.max(axis=1, keepdims=True)
    weights = leading / leading.sum(axis=1, keepdims=True)
    confusion = _confusion(one_hot, counts, weights)
    likelihood = weights
    for _ in range(_MAX_ITERATIONS):
        said = confusion[0, votes[:, 0]]
        for label_map in range(1, num_maps):
            said = said * confusion[label_map, votes[:, label_map]]
        likelihood = prior * said
        total = likelihood.sum(axis=1, keepdims=True)
        weights = np.divide(likelihood, total, out=np.zeros_like(likelihood), where=total > 0)
        updated = _confusion(one_hot, counts, weights)
        change = np.abs(updated - confusion).max()
        confusion = updated
        if change < _SMALLEST_UPDATE:
            break
    return np.asarray(likelihood)


def _confusion(
    one_hot: NDArray[np.float64], counts: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(maps, said, true) probability that a map says a label where another is true."""
    sums: NDArray[np.float64] = np.einsum("nkj,nc->kjc", one_hot, counts[:, None] * weights)
    total = sums.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(sums, total, out=np.zeros_like(sums), where=total > 0), dtype=np.float64)
