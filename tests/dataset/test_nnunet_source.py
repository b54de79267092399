"""A raw dataset of nnU-Net is understood, or refused with every mistake, before anything is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.dataset.nnunet_source import read_nnunet
from mist_bundle.errors import InputError
from tests.dataset.samples import make_nnunet, write_nnunet_image


def test_a_dataset_is_understood_before_anything_is_written(tmp_path: Path) -> None:
    labels = {"background": 0, "whole tumor": [1, 2, 3], "enhancing": 3, "ignore": 4}
    dataset = read_nnunet(make_nnunet(tmp_path / "Dataset001_Brats", labels=labels, license="CC0"))
    assert dataset.name == "brats"
    assert dataset.labels.values == (0, 1, 2, 3)
    assert dataset.labels.ignore == 4
    assert dataset.texts == {"licence": "CC0"}
    first = dataset.training[0]
    assert [path.name for path in first.images] == ["case_000_0000.nii.gz", "case_000_0001.nii.gz"]
    assert first.label == tmp_path / "Dataset001_Brats" / "labelsTr" / "case_000.nii.gz"
    assert [case.label for case in dataset.testing] == [None]
    table = dict(dataset.table())
    assert table["regions"] == "whole tumor [1, 2, 3]"
    assert table["folds"] == "none"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file_ending": ".tif"}, 'file_ending: is ".tif"'),
        ({"channel_names": {}}, "channel_names: is {}"),
        ({"dataset": {"a": {"images": ["x"], "label": "y"}}}, 'a: is {"images": ["x"], "label": "y"} in dataset.json'),
        ({"dataset": [1, True]}, "$.dataset: is [1, true]; expected an object"),
        ({"dataset": False}, "$.dataset: is false"),
        ({"labels": None}, "$.labels: is missing"),
        ({"file_ending": None}, "$.file_ending: is missing"),
        ({"channel_names": {"0": "t1", "2": "t2"}}, "numbers the channels 0, 2; expected 0 to 1"),
        ({"channel_names": {"t1": "0", "t2": "1"}}, "numbers the channels t1, t2"),
    ],
)
def test_what_is_not_understood_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset006_Wrong", **changes)
    with pytest.raises(InputError) as refusal:
        read_nnunet(source)
    assert message in str(refusal.value)


def _with_splits(source: Path, *folds: tuple[list[str], list[str]]) -> Path:
    content = [{"train": train, "val": val} for train, val in folds]
    (source / "splits_final.json").write_text(json.dumps(content))
    return source


def test_a_case_that_lacks_a_channel_costs_no_other_its_place(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset007_Files")
    ids = [case.id for case in read_nnunet(source).training]
    (source / "imagesTr" / "case_001_0001.nii.gz").unlink()
    write_nnunet_image(source / "imagesTr" / "stray.nii.gz", 1)
    dataset = read_nnunet(_with_splits(source, ([], ids)))
    assert [case.id for case in dataset.training] == [name for name in ids if name != "case_001"]
    assert set(dataset.folds) == {case.id for case in dataset.training}
    text = "\n".join(map(str, dataset.problems))
    assert "case_001: has the channels 0 in imagesTr; expected 0, 1" in text
    assert dataset.num_cases == len(ids) + len(dataset.testing)


def test_files_that_belong_to_no_case_are_no_cases(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset011_Stray", cases=2)
    stray = source / "imagesTr" / "stray.nii.gz"
    write_nnunet_image(stray, 1)
    write_nnunet_image(source / "imagesTs" / "other.nii.gz", 1)
    dataset = read_nnunet(source)
    assert dataset.num_cases == 3  # two to train with and a test case
    assert dataset.problems == ()
    assert [str(warning).split(" it has no channel number")[0] for warning in dataset.warnings] == [
        f"{stray}: is ignored:",
        f"{source / 'imagesTs' / 'other.nii.gz'}: is ignored:",
    ]
    write_nnunet_image(source / "labelsTr" / "stray.nii.gz", 1)  # with a label, it is a case
    dataset = read_nnunet(source)
    assert dataset.num_cases == 4
    assert [problem.path for problem in dataset.problems] == ["stray"]


def test_a_folder_of_images_without_channel_numbers_is_refused_with_their_names(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset012_Plain", channels=1)
    for image in sorted((source / "imagesTr").iterdir()):
        image.rename(image.with_name(image.name.replace("_0000", "")))
    with pytest.raises(InputError) as refusal:
        read_nnunet(source)
    assert str(refusal.value).count("has no channel number") == 4
    assert "has no training case that can be used" in str(refusal.value)


def test_a_damaged_entry_of_the_list_costs_no_other_case_its_place(tmp_path: Path) -> None:
    entry = {"images": ["imagesTr/case_000_0000.nii.gz"], "label": "labelsTr/case_000.nii.gz"}
    listed = {"good": entry, "bad": {"images": [], "label": "y"}, "null": None, "number": 3}
    source = make_nnunet(tmp_path / "Dataset013_Listed", channels=1, dataset=listed)
    _with_splits(source, ([], ["good", "bad"]))
    dataset = read_nnunet(source)
    assert [case.id for case in dataset.training] == ["good"]
    assert [problem.path for problem in dataset.problems] == ["bad", "null", "number"]
    assert "is null in dataset.json: $.dataset.null; expected" in str(dataset.problems[1])
    assert dataset.num_cases == 5
    assert dataset.folds == {"good": 0}


def test_null_is_as_good_as_no_key(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset014_Null", dataset=None, numTraining=None, name=None)
    dataset = read_nnunet(source)
    assert len(dataset.training) == 4
    assert dataset.name == "null"


@pytest.mark.parametrize(
    "content",
    [
        '[{"train": [], "val": ["case_000", "case_001", "case_002", "case_003", "nobody"]}]',
        '[{"train": ["case_000"], "val": ["case_000", "case_001", "case_002", "case_003"]}]',
        '[{"train": [], "val": ["case_000", "case_001", "case_002", "case_003"]}, {"train": [], "val": []}]',
        '[{"train": [], "val": "case_000"}]',
        "[}",
        "null",
    ],
)
def test_splits_that_nobody_named_never_cost_the_dataset(content: str, tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset015_Splits")
    (source / "splits_final.json").write_text(content)
    dataset = read_nnunet(source)
    assert len(dataset.training) == 4
    assert dataset.folds == {}
    (warning,) = dataset.warnings
    assert warning.path == str(source / "splits_final.json")
    assert "its folds are not kept: it " in warning.message
    with pytest.raises(InputError, match="name no splits"):
        read_nnunet(source, source / "splits_final.json")


def test_another_number_of_cases_than_the_description_says_is_reported(tmp_path: Path) -> None:
    (warning,) = read_nnunet(make_nnunet(tmp_path / "Dataset010_Count", numTraining=77)).warnings
    assert str(warning).split(": ", 1)[1].startswith("$.numTraining: is 77, but there are")
