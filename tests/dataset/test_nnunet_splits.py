"""Folds of nnU-Net: kept only if they hold out every case once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.dataset.nnunet_splits import SPLITS_JSON, read_splits
from mist_bundle.errors import InputError

CASES = {"a", "b"}


def _write(folder: Path, content: Any) -> Path:
    (folder / SPLITS_JSON).write_text(json.dumps(content), encoding="utf-8")
    return folder / "dataset.json"


def _fold(train: list[str], val: list[str]) -> dict[str, list[str]]:
    return {"train": train, "val": val}


def test_without_a_file_there_are_no_folds(tmp_path: Path) -> None:
    assert read_splits(tmp_path / "dataset.json", None, CASES, set()) == ({}, [])


def test_the_file_beside_the_description_is_found(tmp_path: Path) -> None:
    json_path = _write(tmp_path, [_fold(["b", "left out"], ["a"]), _fold(["a"], ["b", "left out"])])
    folds, warnings = read_splits(json_path, None, CASES, {"left out"})
    assert folds == {"a": 0, "b": 1}
    assert warnings == []


def test_all_problems_at_once(tmp_path: Path) -> None:
    json_path = _write(tmp_path, [_fold(["a"], ["nobody", "a"]), _fold(["somebody"], ["a"])])
    with pytest.raises(InputError) as refusal:
        read_splits(json_path, tmp_path / SPLITS_JSON, CASES, set())
    text = str(refusal.value)
    assert "names 'nobody' in fold 0" in text
    assert "names 'somebody' in fold 1" in text
    assert "has 'a' in both parts of fold 0" in text
    assert "holds 'a' out in the folds 0 and 1" in text
    assert "never holds out 1 of the training cases (b)" in text


@pytest.mark.parametrize(
    "content",
    [
        {},
        None,
        ["a"],
        [{"train": ["a"]}],
        [{"train": ["a"], "val": [1]}],
        [_fold(["b"], ["a"])],  # nnU-Net trains with a single split, too; folds need every case once
        [_fold([], ["a", "b"]), _fold([], ["left out"])],
    ],
)
def test_folds_that_cannot_be_kept_are_refused_only_if_the_user_named_the_file(content: Any, tmp_path: Path) -> None:
    json_path = _write(tmp_path, content)
    folds, (warning,) = read_splits(json_path, None, CASES, {"left out"})
    assert folds == {}
    assert warning.path == str(tmp_path / SPLITS_JSON)
    assert "its folds are not kept: it " in warning.message
    with pytest.raises(InputError, match="name no splits"):
        read_splits(json_path, tmp_path / SPLITS_JSON, CASES, {"left out"})
