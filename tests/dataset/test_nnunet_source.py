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
        ({"labels": {"background": 0}}, "no class beside the background"),
        ({"labels": {"background": 0, "a": 1, "ignore": [2, 3]}}, "expected a single value"),
        ({"file_ending": ".tif"}, "file_ending: is '.tif'"),
        ({"channel_names": {}}, "channel_names: is"),
        ({"dataset": {"a": {"images": ["x"], "label": "y"}}}, "dataset.a: is"),
    ],
)
def test_what_is_not_understood_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset006_Wrong", **changes)
    with pytest.raises(InputError) as refusal:
        read_nnunet(source)
    assert message in str(refusal.value)


def test_all_problems_of_the_files_at_once(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset007_Files")
    (source / "imagesTr" / "case_001_0001.nii.gz").unlink()
    write_nnunet_image(source / "imagesTr" / "stray.nii.gz", 1)
    (source / "splits_final.json").write_text(json.dumps([{"train": [], "val": ["nobody"]}]))
    with pytest.raises(InputError) as refusal:
        read_nnunet(source)
    text = str(refusal.value)
    assert "case_001: has the channels [0]" in text
    assert "stray.nii.gz" in text
    assert "names 'nobody' in fold 0" in text
