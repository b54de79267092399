"""The splits of a datalist: every case in a single split of a fold, with absolute paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mist_bundle.runtime.loading.datalist import SPLITS, load_items

CONTENT = {
    "training": [
        {"id": "a", "image": ["a/t1.nii.gz", "a/t2.nii.gz"], "label": "a/seg.nii.gz", "fold": 0, "validates": [1]},
        {"id": "b", "image": ["b/t1.nii.gz", "b/t2.nii.gz"], "label": "b/seg.nii.gz", "fold": 1, "validates": [0]},
        {"id": "c", "image": ["c/t1.nii.gz", "c/t2.nii.gz"], "label": "c/seg.nii.gz", "fold": 0},
        {"id": "d", "image": ["d/t1.nii.gz", "d/t2.nii.gz"], "label": "d/seg.nii.gz", "fold": 1, "validates": []},
        {"id": "e", "image": "e/t1.nii.gz", "label": "e/seg.nii.gz", "fold": 2, "validates": [0, 1]},
    ],
    "testing": [{"id": "x", "image": ["../test/x/t1.nii.gz", "/elsewhere/x/t2.nii.gz"]}],
}


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps(CONTENT), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("split", "fold", "expected"),
    [
        ("training", 0, "d"),
        ("validation", 0, "be"),
        ("test", 0, "ac"),
        ("training", 1, "c"),
        ("validation", 1, "ae"),
        ("test", 1, "bd"),
        ("training", 2, "abcd"),
        ("validation", 2, ""),
        ("test", 2, "e"),
        ("all", None, "abcde"),
        ("testing", None, "x"),
    ],
)
def test_splits(datalist: Path, split: str, fold: int | None, expected: str) -> None:
    items = load_items(datalist, "/data", split, fold)
    assert "".join(item["id"] for item in items) == expected


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_every_case_is_in_exactly_one_split_of_a_fold(datalist: Path, fold: int) -> None:
    found = [
        item["id"] for split in ("training", "validation", "test") for item in load_items(datalist, "d", split, fold)
    ]
    assert sorted(found) == ["a", "b", "c", "d", "e"]


def test_paths_are_absolute_and_images_a_list(datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_items(str(datalist), "data", "test", 2) == [
        {
            "id": "e",
            "image": [str(tmp_path / "data/e/t1.nii.gz")],
            "label": str(tmp_path / "data/e/seg.nii.gz"),
        }
    ]
    (item,) = load_items(datalist, tmp_path / "data", "testing")
    assert item["image"][1] == "/elsewhere/x/t2.nii.gz"
    assert "label" not in item


def test_what_is_wrong_is_said(datalist: Path) -> None:
    with pytest.raises(ValueError, match=r"split 'train' is unknown\. Did you mean 'training'"):
        load_items(datalist, "d", "train", 0)
    with pytest.raises(ValueError, match=r"has the folds \[0, 1, 2\]; there is no fold 5"):
        load_items(datalist, "d", "training", 5)
    with pytest.raises(ValueError, match="fold None"):
        load_items(datalist, "d", "validation")
    assert SPLITS == ("training", "validation", "test", "all", "testing")


def test_cases_of_another_folder(datalist: Path, tmp_path: Path) -> None:
    case = tmp_path / "new" / "y"
    case.mkdir(parents=True)
    images = [case / "t1.nii.gz", case / "t2.nii.gz"]
    for image in images:
        image.touch()
    items = load_items(datalist, tmp_path / "new", "testing", channel_names=["t1", "t2"])
    assert items == [{"id": "y", "image": [str(image) for image in images]}]


def test_training_cases_are_not_predicted_unasked(tmp_path: Path) -> None:
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({**CONTENT, "testing": []}), encoding="utf-8")
    case = tmp_path / "train" / "a"
    case.mkdir(parents=True)
    (case / "t1.nii.gz").touch()
    assert load_items(path, tmp_path / "train", "testing", channel_names=["t1", "t2"]) == []


def test_test_cases_that_are_there_come_first(tmp_path: Path) -> None:
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({**CONTENT, "testing": [{"id": "x", "image": ["x/t1.nii.gz"]}]}), encoding="utf-8")
    for case in ("x", "y"):
        (tmp_path / "cases" / case).mkdir(parents=True)
        (tmp_path / "cases" / case / "t1.nii.gz").touch()
    items = load_items(path, tmp_path / "cases", "testing", channel_names=["t1"])
    assert [item["id"] for item in items] == ["x"]
