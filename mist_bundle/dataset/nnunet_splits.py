"""The folds of an nnU-Net dataset, from splits_final.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.errors import InputError, Problem, problems_of
from mist_bundle.files import read_json
from mist_bundle.runtime.wording import counted, list_names

SPLITS_JSON = "splits_final.json"


def read_splits(
    json_path: Path, splits: Path | None, used: set[str], unused: set[str]
) -> tuple[dict[str, int], list[Problem]]:
    """Return case id -> fold in which it is held out, and a warning if folds that nobody named cannot be kept.

    Args:
        json_path: dataset.json, which may have splits_final.json beside it.
        splits: the file that the user named.
        used: ids of the training cases.
        unused: ids of those that were left out.

    Raises:
        InputError: the user named the file, and it is wrong or does not hold out every case.
    """
    path = splits or json_path.parent / SPLITS_JSON
    if splits is None and not path.is_file():
        return {}, []
    try:
        return _read_folds(path, used, unused), []
    except InputError as error:
        if splits is not None:
            advice = "must be right where it is named. Correct it, or name no splits, to divide the cases again."
            raise InputError([*error.problems, Problem(str(path), advice)]) from error
        first, *others = error.problems
        more = f" It has {counted(len(others), 'more problem')}." if others else ""
        message = f"its folds are not kept: it {first.message}{more} Correct it to keep them."
        return {}, [Problem(str(path), message)]


def _read_folds(path: Path, used: set[str], unused: set[str]) -> dict[str, int]:
    """Case id -> fold in which it is held out, from a list of {"train": [...], "val": [...]}.

    Raises:
        InputError: it is not such a list, names unknown cases or a case twice, has a fold without a usable case, or
            never holds out a case; all problems at once.
    """
    content = read_json(path)
    if not isinstance(content, list) or not all(map(_is_fold, content)):
        message = 'must hold a list of {"train": [ids], "val": [ids]}, as nnU-Net writes it.'
        raise InputError(Problem(str(path), message))
    folds: dict[str, int] = {}
    findings: list[str] = []
    for number, fold in enumerate(content):
        for case_id in sorted({*fold["train"], *fold["val"]} - used - unused):
            findings.append(f"names {case_id!r} in fold {number}, which is not a training case.")
        for case_id in sorted({*fold["train"]} & {*fold["val"]}):
            message = f"has {case_id!r} in both parts of fold {number}; training would see what it is tested on."
            findings.append(message)
        findings += _add_fold(folds, number, fold["val"], used)
    missing = sorted(used - set(folds))
    if missing:
        findings.append(f"never holds out {len(missing)} of the training cases ({list_names(missing)}).")
    if findings:
        raise InputError(problems_of(str(path), findings))
    return folds


def _add_fold(folds: dict[str, int], number: int, held_out: Sequence[str], used: set[str]) -> list[str]:
    """Add the cases that a fold holds out to `folds`; return what is wrong with them."""
    findings = []
    for case_id in held_out:
        if case_id in folds:
            findings.append(f"holds {case_id!r} out in the folds {folds[case_id]} and {number}.")
        elif case_id in used:
            folds[case_id] = number
    if not used & set(held_out):
        findings.append(f"holds out no case in fold {number} that can be used.")
    return findings


def _is_fold(entry: Any) -> bool:
    if not isinstance(entry, Mapping):
        return False
    for key in ("train", "val"):
        ids = entry.get(key)
        if not isinstance(ids, list) or not all(isinstance(case_id, str) for case_id in ids):
            return False
    return True
