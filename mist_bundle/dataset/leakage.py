"""Scans in the wrong place: twice among the cases, in both training and test set, or next to what is written.

A model tested on its own training data scores well and is worth nothing, and the scores alone do not show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import Problem
from mist_bundle.files import real_path

Digests = Mapping[str, Iterable[str]]  # case id -> hashes of its images' voxels, "" for constant images


def output_within_data(output: Path, spec: DatasetSpec) -> list[Problem]:
    """Refuse an output folder among the cases, which the next run would take for a case."""
    place = real_path(output)
    problems = []
    for folder in (spec.train_dir, spec.test_dir):
        if folder is None:
            continue
        folder = real_path(folder)
        if place == folder or folder in place.parents:
            message = f"is {output}, within the folder of the cases {folder}. Choose a place outside."
            problems.append(Problem("--output", message))
    return problems


def same_scans(digests: Digests) -> list[tuple[str, ...]]:
    """Group cases that share the voxels of an image.

    Returns:
        Groups of two or more case ids, each sorted, in the order of their first ids.
    """
    group_of: dict[str, set[str]] = {}
    first_owner: dict[str, str] = {}
    for case_id in sorted(digests):
        group_of[case_id] = {case_id}
        for digest in digests[case_id]:
            if not digest:
                continue
            owner = first_owner.setdefault(digest, case_id)
            merged = group_of[owner] | group_of[case_id]
            for member in merged:
                group_of[member] = merged
    groups = []
    for case_id, members in group_of.items():
        if len(members) > 1 and case_id == min(members):
            groups.append(tuple(sorted(members)))
    return groups


def leaks_between_folds(same: Sequence[tuple[str, ...]], folds: Mapping[str, int]) -> list[Problem]:
    """Report copies of a scan that lie in different folds, so that training would see what it is tested on.

    Args:
        same: groups of case ids that hold the same scan.
        folds: case id -> fold.
    """
    problems = []
    for ids in same:
        places = sorted({folds[case_id] for case_id in ids})
        if len(places) > 1:
            message = (
                f"hold the same scan under {len(ids)} ids in the folds {places}: training would see what it is tested "
                "on. Remove the copies, or put them into a single fold."
            )
            problems.append(Problem(", ".join(ids), message))
    return problems


def repeated_scans(same: Sequence[tuple[str, ...]]) -> list[Problem]:
    """Warn about copies of a scan that lie in a single fold, where they do no harm."""
    problems = []
    for ids in same:
        message = (
            f"hold the same scan under {len(ids)} ids. They are kept in the same fold, but it counts {len(ids)} times; "
            "remove copies."
        )
        problems.append(Problem(", ".join(ids), message))
    return problems


def copies_in_test_set(tests: Digests) -> list[Problem]:
    """Report copies of a scan within the test set."""
    problems = []
    for ids in same_scans(tests):
        message = f"hold the same scan under {len(ids)} ids of the test set. Remove the copies."
        problems.append(Problem(", ".join(ids), message))
    return problems


def seen_in_training(tests: Digests, training: Digests) -> dict[str, Problem]:
    """Report the test cases that are training cases too, by id: their predictions say nothing about new images."""
    owner: dict[str, str] = {}
    for case_id, digests in training.items():
        for digest in digests:
            if digest:
                owner[digest] = case_id
    problems: dict[str, Problem] = {}
    for case_id in sorted(tests):
        same: set[str] = set()
        for digest in tests[case_id]:
            if digest in owner:
                same.add(owner[digest])
        if same:
            owners = ", ".join(sorted(same))
            message = (
                f"holds the scan of {owners}, which is trained on; its prediction says nothing about new images. "
                "Remove it from the training or the test set."
            )
            problems[case_id] = Problem(f"test set, {case_id}", message)
    return problems
