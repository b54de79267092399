"""What cases.csv of a merged dataset says about each case."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.merged_datasets import merge_datasets
from mist_bundle.dataset.spec import DatasetSpec
from tests.dataset.merging import SHAPE, dataset, label_values
from tests.dataset.samples import save_volume


def test_a_source_column_and_names_in_another_spelling_are_said(tmp_path: Path) -> None:
    first = dataset(tmp_path / "a", {"a1": [1]}, label_names={"1": "Liver"})
    second = dataset(tmp_path / "b", {"b1": [1]}, label_names={"1": "liver"})
    (tmp_path / "a" / "cases.csv").write_text("id,source,original_source\na1,Bern,here\n")
    merged = merge_datasets([first, second], tmp_path / "out")
    said = "\n".join(map(str, merged.warnings))
    assert "Liver in a, liver in b are kept apart" in said
    assert 'column "source": of a dataset is kept as "original_source_2"' in said
    (case, _) = find_cases(DatasetSpec.from_json(merged.dataset_json)).cases
    assert case.extra == {"source": "a", "original_source_2": "Bern", "original_source": "here"}


def test_what_a_source_knows_case_by_case_and_ignores_is_kept(tmp_path: Path) -> None:
    first = dataset(
        tmp_path / "a", {"a1": [1, 9], "a2": []}, labels=[0, 1, 9], label_names={"1": "liver"}, ignore_label=9
    )
    second = dataset(tmp_path / "b", {"b1": [1]}, label_names={"1": "spleen"})
    (tmp_path / "a" / "cases.csv").write_text("id,annotated_labels\na1,1\na2,0\n")
    spec = DatasetSpec.from_json(merge_datasets([first, second], tmp_path / "out").dataset_json)
    assert (spec.labels, spec.ignore_label) == ((0, 1, 2), 3)
    cases = {case.id: case for case in find_cases(spec).cases}
    assert {name: case.unlabelled for name, case in cases.items()} == {"a1": (2,), "a2": (1, 2), "b1": (1,)}
    assert label_values(cases["a1"]) == [1, 3]


def test_what_is_unknown_is_said_for_the_cases_that_were_written(tmp_path: Path) -> None:
    first = dataset(
        tmp_path / "a", {"a1": [1, 2], "a2": [1, 2]}, labels=[0, 1, 2], label_names={"1": "liver", "2": "tumour"}
    )
    (tmp_path / "a" / "cases.csv").write_text("id,annotated_labels\na1,1\na2,1 2\n")
    save_volume(tmp_path / "a/train/a1/mask.nii.gz", np.full(SHAPE, 5, np.uint8))
    second = dataset(tmp_path / "b", {"b1": [1]}, label_names={"1": "spleen"})
    merged = merge_datasets([first, second], tmp_path / "out")
    assert [problem.path for problem in merged.problems] == ["a1"]
    cases = find_cases(DatasetSpec.from_json(merged.dataset_json)).cases
    assert {case.id: case.unlabelled for case in cases} == {"a2": (3,), "b1": (1, 2)}
