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
    assert "x: mask.nii.gz: holds [5], but the labels of second are [0, 1, 7]" in capsys.readouterr().err
    assert len(find_cases(DatasetSpec.from_json(tmp_path / "out/dataset.json")).cases) == 3
    assert cli.main(words) == EXIT_INPUT_REFUSED, "what is there is not replaced"


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
