"""Several data sets as a single one."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mist_bundle as mb
from mist_bundle import cli
from mist_bundle.dataset.cases import Case, find_cases
from mist_bundle.dataset.merged_datasets import merge_datasets
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED, InputError
from tests.dataset.samples import save_volume

SHAPE = (6, 5, 4)


def _dataset(folder: Path, cases: dict[str, list[int]], **entries: Any) -> Path:
    """A data set whose cases hold a slice of each of their labels."""
    for name, labels in cases.items():
        mask = np.zeros(SHAPE, np.uint8)
        for position, label in enumerate(labels, start=1):
            mask[position] = label
        save_volume(folder / "train" / name / "mask.nii.gz", mask)
        save_volume(folder / "train" / name / "ct.nii.gz", np.random.default_rng(0).normal(0, 100, SHAPE))
    content = {
        "task": folder.name,
        "modality": "ct",
        "train-data": "train",
        "mask": ["mask"],
        "images": {"ct": ["ct"]},
        "labels": [0, 1],
        **entries,
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder / "dataset.json"


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """A data set of liver and tumour, and another of kidney and liver with other numbers."""
    first = _dataset(
        tmp_path / "first",
        {"001": [1, 2], "002": [1]},
        labels=[0, 1, 2],
        label_names={"1": "liver", "2": "tumour"},
        final_classes={"liver": [1, 2], "tumour": [2]},
    )
    second = _dataset(
        tmp_path / "second", {"001": [1, 7], "x": [7]}, labels=[0, 1, 7], label_names={"1": "kidney", "7": "tumour"}
    )
    (tmp_path / "second" / "cases.csv").write_text("id,patient\n001,p1\nx,p1\n")
    return [first, second]


def _values(case: Case) -> list[int]:
    """The label of each slice that has any."""
    assert case.label is not None
    return [int(value) for value in read_volume(case.label).array[:, 0, 0] if value]


def test_labels_are_joined_by_name(sources: list[Path], tmp_path: Path) -> None:
    merged = merge_datasets(sources, tmp_path / "out")
    assert not merged.problems
    spec = DatasetSpec.from_json(merged.dataset_json)
    assert spec.label_names == {0: "background", 1: "liver", 2: "tumour", 3: "kidney"}
    assert spec.final_classes == {"liver": (1, 2), "tumour": (2,), "kidney": (3,)}
    cases = {case.id: case for case in find_cases(spec).cases}
    assert list(cases) == ["002", "first_001", "second_001", "x"]
    assert {name: _values(case) for name, case in cases.items()} == {
        "002": [1],
        "first_001": [1, 2],
        "second_001": [3, 2],
        "x": [2],
    }
    assert {name: case.unlabelled for name, case in cases.items()} == {
        "002": (3,),
        "first_001": (3,),
        "second_001": (1,),
        "x": (1,),
    }
    assert cases["002"].extra == {"source": "first"}
    assert cases["x"].extra == {"source": "second", "patient": "second_p1"}
    assert (tmp_path / "out/train/002/mask.nii.gz").is_symlink(), "labels that keep their values are linked"


def test_sources_that_annotate_the_same_have_no_unknown_labels(tmp_path: Path) -> None:
    paths = [_dataset(tmp_path / name, {name: [1]}, label_names={"1": "organ"}) for name in ("a", "b")]
    merged = merge_datasets(paths, tmp_path / "out", names=["here", "there"])
    content = json.loads(merged.dataset_json.read_text())
    assert "annotated_labels" not in content
    with (tmp_path / "out" / "cases.csv").open() as stream:
        assert list(csv.reader(stream)) == [["id", "source"], ["a", "here"], ["b", "there"]]


def test_what_a_source_knows_case_by_case_and_ignores_is_kept(tmp_path: Path) -> None:
    first = _dataset(
        tmp_path / "a", {"a1": [1, 9], "a2": []}, labels=[0, 1, 9], label_names={"1": "liver"}, ignore_label=9
    )
    second = _dataset(tmp_path / "b", {"b1": [1]}, label_names={"1": "spleen"})
    (tmp_path / "a" / "cases.csv").write_text("id,annotated_labels\na1,1\na2,0\n")
    spec = DatasetSpec.from_json(merge_datasets([first, second], tmp_path / "out").dataset_json)
    assert (spec.labels, spec.ignore_label) == ((0, 1, 2), 3)
    cases = {case.id: case for case in find_cases(spec).cases}
    assert {name: case.unlabelled for name, case in cases.items()} == {"a1": (2,), "a2": (1, 2), "b1": (1,)}
    assert _values(cases["a1"]) == [1, 3]


def test_all_differences_are_named_at_once(sources: list[Path], tmp_path: Path) -> None:
    other = _dataset(
        tmp_path / "third",
        {"y": [1]},
        modality="mr",
        images={"t1": ["ct"]},
        labels=[0, 1, 2],
        final_classes={"liver": [1], "tumour": [2]},
    )
    with pytest.raises(InputError) as refusal:
        merge_datasets([*sources, other, sources[0]], tmp_path / "out", names=["a", "b"])
    text = str(refusal.value)
    for words in (
        "--names: are a, b, but there are 4 data sets",
        '$.modality: is "mr", but "ct" in',
        "$.images: has the channels t1, but ct in",
        "$.final_classes.liver: is made of liver here and of liver, tumour elsewhere",
        "first/dataset.json: is named twice",
    ):
        assert words in text
    assert not (tmp_path / "out").exists()


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


def test_what_is_unknown_is_said_for_the_cases_that_were_written(tmp_path: Path) -> None:
    first = _dataset(
        tmp_path / "a", {"a1": [1, 2], "a2": [1, 2]}, labels=[0, 1, 2], label_names={"1": "liver", "2": "tumour"}
    )
    (tmp_path / "a" / "cases.csv").write_text("id,annotated_labels\na1,1\na2,1 2\n")
    save_volume(tmp_path / "a/train/a1/mask.nii.gz", np.full(SHAPE, 5, np.uint8))
    second = _dataset(tmp_path / "b", {"b1": [1]}, label_names={"1": "spleen"})
    merged = merge_datasets([first, second], tmp_path / "out")
    assert [problem.path for problem in merged.problems] == ["a1"]
    cases = find_cases(DatasetSpec.from_json(merged.dataset_json)).cases
    assert {case.id: case.unlabelled for case in cases} == {"a2": (3,), "b1": (1, 2)}


@pytest.mark.parametrize("stray_in", ["a", "b"])
def test_a_stray_value_does_not_become_the_structure_of_another_source(stray_in: str, tmp_path: Path) -> None:
    first = _dataset(tmp_path / "a", {"a1": [1], "a2": [1]}, label_names={"1": "liver"})
    second = _dataset(tmp_path / "b", {"b1": [1], "b2": [1]}, label_names={"1": "spleen"})
    save_volume(tmp_path / f"{stray_in}/train/{stray_in}1/mask.nii.gz", np.full(SHAPE, 2, np.uint8))
    merged = merge_datasets([first, second], tmp_path / "out")
    (problem,) = merged.problems
    assert (problem.path, merged.total) == (f"{stray_in}1", 4)
    assert f"holds [2], but the labels of {stray_in} are [0, 1]" in problem.message
    assert not (tmp_path / "out/train" / f"{stray_in}1").exists(), "nothing of a failed case is left"


def test_ids_that_stay_the_same_are_refused(tmp_path: Path) -> None:
    first = _dataset(tmp_path / "liver", {"1": [1], "ct_1": [1]})
    second = _dataset(tmp_path / "liver_ct", {"1": [1], "ct_1": [1]})
    with pytest.raises(InputError, match=r"liver_ct_1: would be the id of ct_1 of liver, 1 of liver_ct\. .*--names"):
        merge_datasets([first, second], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    merged = merge_datasets([first, second], tmp_path / "out", names=["a", "b"])
    ids = [case.id for case in find_cases(DatasetSpec.from_json(merged.dataset_json)).cases]
    assert ids == ["a_1", "a_ct_1", "b_1", "b_ct_1"]


def test_the_ignored_label_has_a_name_of_its_own(tmp_path: Path) -> None:
    first = _dataset(tmp_path / "a", {"a1": [1]}, label_names={"1": "ignore"})
    second = _dataset(tmp_path / "b", {"b1": [1, 9]}, labels=[0, 1, 9], label_names={"1": "liver"}, ignore_label=9)
    spec = DatasetSpec.from_json(merge_datasets([first, second], tmp_path / "out").dataset_json)
    assert (spec.label_names, spec.ignore_label) == ({0: "background", 1: "ignore", 2: "liver"}, 3)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_description_that_no_command_would_read_is_refused(dry_run: bool, tmp_path: Path) -> None:
    first = _dataset(tmp_path / "a", {"a1": [1]}, label_names={"0": "void", "1": "liver"})
    second = _dataset(tmp_path / "b", {"b1": [1]}, label_names={"1": "void"})
    with pytest.raises(InputError, match=r"out/dataset\.json: \$\.label_names: uses the same name for several labels"):
        merge_datasets([first, second], tmp_path / "out", dry_run=dry_run)
    assert not (tmp_path / "out").exists()


def test_a_source_column_and_names_in_another_spelling_are_said(tmp_path: Path) -> None:
    first = _dataset(tmp_path / "a", {"a1": [1]}, label_names={"1": "Liver"})
    second = _dataset(tmp_path / "b", {"b1": [1]}, label_names={"1": "liver"})
    (tmp_path / "a" / "cases.csv").write_text("id,source,original_source\na1,Bern,here\n")
    merged = merge_datasets([first, second], tmp_path / "out")
    said = "\n".join(map(str, merged.warnings))
    assert "Liver in a, liver in b are kept apart" in said
    assert 'column "source": of a data set is kept as "original_source_2"' in said
    (case, _) = find_cases(DatasetSpec.from_json(merged.dataset_json)).cases
    assert case.extra == {"source": "a", "original_source_2": "Bern", "original_source": "here"}


def test_a_data_set_is_named_once_by_whatever_path(tmp_path: Path) -> None:
    paths = [_dataset(tmp_path / name, {name: [1]}, label_names={"1": "organ"}) for name in ("a", "b")]
    with pytest.raises(InputError, match="is named twice"):
        merge_datasets([*paths, tmp_path / "a/../b/dataset.json"], tmp_path / "out", names=["x", "y", "z"])


def test_without_a_training_case_nothing_is_written(tmp_path: Path) -> None:
    paths = []
    for name in ("a", "b"):
        path = _dataset(tmp_path / name, {f"{name}1": [1]}, **{"test-data": "test"})
        save_volume(tmp_path / name / "train" / f"{name}1" / "mask.nii.gz", np.full(SHAPE, 7, np.uint8))
        save_volume(tmp_path / name / "test" / f"{name}9" / "ct.nii.gz", np.zeros(SHAPE, np.float32))
        paths.append(path)
    with pytest.raises(InputError, match=r"holds \[7\]"):
        merge_datasets(paths, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_label_whose_cases_all_failed_is_refused(tmp_path: Path) -> None:
    first = _dataset(tmp_path / "a", {"a1": [1]}, label_names={"1": "liver"})
    second = _dataset(tmp_path / "b", {"b1": [5]}, label_names={"1": "spleen"})
    with pytest.raises(InputError) as refused:
        merge_datasets([first, second], tmp_path / "out")
    assert "b1: mask.nii.gz: holds [5]" in str(refused.value)
    assert "labels: [2] were annotated in no case" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_test_folder_is_described_where_test_cases_were_written(tmp_path: Path) -> None:
    first = _dataset(tmp_path / "a", {"a1": [1]}, **{"test-data": "test"})
    second = _dataset(tmp_path / "b", {"b1": [1]})
    save_volume(tmp_path / "a/test/a9/ct.nii.gz", np.zeros(SHAPE, np.float32))
    save_volume(tmp_path / "a/test/a9/mask.nii.gz", np.full(SHAPE, 7, np.uint8))
    merged = merge_datasets([first, second], tmp_path / "out")
    assert ([problem.path for problem in merged.problems], merged.total) == (["a9"], 3)
    assert DatasetSpec.from_json(merged.dataset_json).test_dir is None


def test_a_merged_pair_plans_and_trains(tmp_path: Path) -> None:
    paths = []
    for number, name in enumerate(("one", "two")):
        path = make_phantom(
            tmp_path / name, kind="ct", num_cases=2, num_test=0, seed=number, shape=(18, 17, 16), mixed_headers=False
        )
        content = json.loads(path.read_text())
        left_out = content["labels"][1 + number]
        for mask in path.parent.rglob("*mask*.nii.gz"):
            volume = read_volume(mask)
            save_volume(mask, np.where(volume.array == left_out, 0, volume.array).astype(np.uint8), volume.affine)
        names = {int(label): text for label, text in content.get("label_names", {}).items()}
        content["labels"].remove(left_out)
        content["final_classes"] = {names.get(label, f"organ_{label}"): [label] for label in content["labels"] if label}
        content.pop("label_names", None)
        path.write_text(json.dumps(content))
        paths.append(path)
    merged = mb.merge_datasets(*paths, output=tmp_path / "both", names=["one", "two"])
    small = {"recipe": "quick", "network": "unet-pocket", "folds": 2, "epochs": 1, "steps_per_epoch": 2}
    bundle = mb.configure(merged, tmp_path / "out", patch_size=(16, 16, 16), **small)
    assert len([case for case in bundle.datalist.training if case.unlabelled]) == 4
    bundle.train(fold=0, device="cpu")
    assert bundle.trained_folds() == [0]
