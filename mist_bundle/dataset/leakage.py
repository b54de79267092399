"""Scans that stand where they must not: twice among the cases, in training and test set, or among what is written.

A model that is tested on what it was trained with scores well and is worth nothing, and nobody sees it in the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import Problem

Digests = Mapping[str, Iterable[str]]  # case id -> hashes of its images' voxels, "" for images that say nothing


def output_within_data(output: Path, spec: DatasetSpec) -> list[Problem]:
    """What is written among the cases would be taken for one of them next time."""
    place = output.resolve()
    folders = [folder.resolve() for folder in (spec.train_dir, spec.test_dir) if folder is not None]
    return [
        Problem("--output", f"is {output}, within the folder of the cases {folder}. Choose a place outside.")
        for folder in folders
        if place == folder or folder in place.parents
    ]


def same_scans(digests: Digests) -> list[tuple[str, ...]]:
    """Groups of cases that share the voxels of at least one image, each sorted, in the order of their first ids."""
    group_of = {case_id: case_id for case_id in sorted(digests)}
    first: dict[str, str] = {}
    for case_id in group_of:
        for digest in digests[case_id]:
            earlier = first.setdefault(digest, case_id)
            if digest and group_of[earlier] != group_of[case_id]:
                old, new = sorted((group_of[earlier], group_of[case_id]), reverse=True)
                group_of.update({one: new for one, group in group_of.items() if group == old})
    members: dict[str, list[str]] = {}
    for case_id, group in group_of.items():
        members.setdefault(group, []).append(case_id)
    return [tuple(ids) for ids in members.values() if len(ids) > 1]


def leaks_between_folds(
    same: Sequence[tuple[str, ...]], folds: Mapping[str, int], *, chosen: bool = True
) -> list[Problem]:
    """Groups of the same scan that are not kept in one fold: training would see what it is tested on.

    Args:
        same: ids of each group.
        folds: of each case.
        chosen: whether the user chose the folds; where they are drawn, sharing one is luck that ends with the seed.
    """
    return [
        Problem(
            ", ".join(ids),
            f"hold the same scan under {len(ids)} ids: training would see what it is tested on. Remove all but one, or "
            "keep them in one fold: give them the same value in a column of cases.csv and name it with --fold_by.",
        )
        for ids in same
        if not chosen or len({folds[one] for one in ids}) > 1
    ]


def repeated_scans(same: Sequence[tuple[str, ...]]) -> list[Problem]:
    """Warnings about the same scan under several ids where it does no harm to the folds."""
    return [
        Problem(", ".join(ids), f"hold the same scan under {len(ids)} ids; it counts {len(ids)} times. Remove copies.")
        for ids in same
    ]


def copies_in_test_set(tests: Digests) -> list[Problem]:
    """The same scan under several ids of the test set."""
    return [
        Problem(", ".join(ids), f"hold the same scan under {len(ids)} ids of the test set. Remove all but one.")
        for ids in same_scans(tests)
    ]


def seen_in_training(tests: Digests, training: Digests) -> list[Problem]:
    """Warnings about test cases that are training cases too: their predictions say nothing about new images."""
    owner = {digest: case_id for case_id in training for digest in training[case_id] if digest}
    found = []
    for case_id in sorted(tests):
        same = sorted({owner[digest] for digest in tests[case_id] if digest in owner})
        if same:
            message = (
                f"is a test case that holds the scan of the training case {', '.join(same)}; its prediction says "
                "nothing about new images. Take it out of one of the two sets."
            )
            found.append(Problem(f"test case {case_id}", message))
    return found
