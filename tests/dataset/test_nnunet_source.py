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
    assert table["folds"] == "none in the source"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"background": 0, "a": "one"}}, "expected a whole number, or a list"),
        ({"labels": {"background": 1, "a": 2}}, "background at"),
        ({"labels": {"background": 0}}, "no class besides the background"),
        ({"labels": {"background": 0, "a": 1, "ignore": [2, 3]}}, "expected a single value"),
        ({"file_ending": ".tif"}, "file_ending: is '.tif'"),
        ({"channel_names": {}}, "channel_names: is"),
        ({"dataset": {"a": {"images": ["x"], "label": "y"}}}, "dataset.a: is"),
        ({"dataset": [1]}, "$.dataset: is a list"),
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "gives 1 to a, b"),
        ({"labels": {"background": 0, "a": [1, 2], "b": [2, 1]}}, "gives [1, 2] to a, b"),
        ({"labels": {"background": 0, "a": 0, "b": 1}}, "gives 0 to 'a'"),
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
    assert "stray.nii.gz: has no channel number" in text
    assert dataset.num_cases == len(dataset.training) + len(dataset.testing) + 2


def test_all_problems_of_the_splits_at_once(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset008_Splits")
    _with_splits(source, (["case_000"], ["nobody", "case_000"]), (["somebody"], ["case_000"]))
    with pytest.raises(InputError) as refusal:
        read_nnunet(source)
    text = str(refusal.value)
    assert "names 'nobody' in fold 0" in text
    assert "names 'somebody' in fold 1" in text
    assert "has 'case_000' in both parts of fold 0" in text
    assert "holds 'case_000' out in the folds 0 and 1" in text


def test_splits_that_hold_out_a_part_are_kept_only_if_they_can_be(tmp_path: Path) -> None:
    """nnU-Net trains with a single split; folds need every case once."""
    source = _with_splits(make_nnunet(tmp_path / "Dataset009_Part"), (["case_001"], ["case_000"]))
    dataset = read_nnunet(source)
    assert dataset.folds == {}
    assert "never holds out" in str(dataset.warnings[0])
    assert "its folds are not kept" in str(dataset.warnings[0])
    with pytest.raises(InputError, match="name no splits"):
        read_nnunet(source, source / "splits_final.json")


def test_another_number_of_cases_than_the_description_says_is_reported(tmp_path: Path) -> None:
    (warning,) = read_nnunet(make_nnunet(tmp_path / "Dataset010_Count", numTraining=77)).warnings
    assert str(warning).split(": ", 1)[1].startswith("$.numTraining: is 77, but there are")
