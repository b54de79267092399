"""The ids and label maps of the cases of a merged dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mist_bundle import cli
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.merged_datasets import merge_datasets
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED, InputError
from tests.dataset.merging import SHAPE, dataset
from tests.dataset.samples import save_volume


def test_a_case_with_an_unknown_label_is_named_and_the_others_are_merged(
    sources: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_volume(tmp_path / "second/train/x/mask.nii.gz", np.full(SHAPE, 5, np.uint8))
    words = ["merge_datasets", *map(str, sources), "--output", str(tmp_path / "out")]
    assert cli.main([*words, "--dry_run"]) == EXIT_OK
    shown = capsys.readouterr().out
    assert "labels          0 background, 1 liver, 2 tumour, 3 kidney" in shown
    assert "second          2 training and 0 test cases; annotates 2, 3; 1 becomes 3; 7 becomes 2" in shown
    assert not (tmp_path / "out").exists()
    assert cli.main(words) == EXIT_SOME_CASES_FAILED
    said = capsys.readouterr().err
    assert "x: mask.nii.gz: holds [5], but the labels of second are [0, 1, 7]" in said
    assert "1 of 4 cases failed" in said
    assert len(find_cases(DatasetSpec.from_json(tmp_path / "out/dataset.json")).cases) == 3
    assert cli.main(words) == EXIT_INPUT_REFUSED, "what is there is not replaced"


def test_ids_that_stay_the_same_are_refused(tmp_path: Path) -> None:
    first = dataset(tmp_path / "liver", {"1": [1], "ct_1": [1]})
    second = dataset(tmp_path / "liver_ct", {"1": [1], "ct_1": [1]})
    with pytest.raises(InputError, match=r"liver_ct_1: would be the id of ct_1 of liver, 1 of liver_ct\. .*--names"):
        merge_datasets([first, second], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    merged = merge_datasets([first, second], tmp_path / "out", names=["a", "b"])
    ids = [case.id for case in find_cases(DatasetSpec.from_json(merged.dataset_json)).cases]
    assert ids == ["a_1", "a_ct_1", "b_1", "b_ct_1"]


@pytest.mark.parametrize("stray_in", ["a", "b"])
def test_a_stray_value_does_not_become_the_structure_of_another_source(stray_in: str, tmp_path: Path) -> None:
    first = dataset(tmp_path / "a", {"a1": [1], "a2": [1]}, label_names={"1": "liver"})
    second = dataset(tmp_path / "b", {"b1": [1], "b2": [1]}, label_names={"1": "spleen"})
    save_volume(tmp_path / f"{stray_in}/train/{stray_in}1/mask.nii.gz", np.full(SHAPE, 2, np.uint8))
    merged = merge_datasets([first, second], tmp_path / "out")
    (problem,) = merged.problems
    assert (problem.path, merged.total) == (f"{stray_in}1", 4)
    assert f"holds [2], but the labels of {stray_in} are [0, 1]" in problem.message
    assert not (tmp_path / "out/train" / f"{stray_in}1").exists(), "nothing of a failed case is left"


def test_of_many_stray_values_some_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    first = dataset(tmp_path / "a", {"a1": [1], "a2": [1]})
    second = dataset(tmp_path / "b", {"b1": [1]})
    many = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE) % 30
    save_volume(tmp_path / "a/train/a1/mask.nii.gz", many)
    (problem,) = merge_datasets([first, second], tmp_path / "out").problems
    assert "holds [2, 3, 4, 5, 6, 7, 8, 9 and 20 more], but the labels of a are [0, 1]" in problem.message
