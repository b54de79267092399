"""Several datasets as a single one."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import mist_bundle as mb
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.merged_datasets import merge_datasets
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import InputError
from tests.dataset.merging import SHAPE, dataset, label_values
from tests.dataset.samples import save_volume


def test_labels_are_joined_by_name(sources: list[Path], tmp_path: Path) -> None:
    merged = merge_datasets(sources, tmp_path / "out")
    assert not merged.problems
    spec = DatasetSpec.from_json(merged.dataset_json)
    assert spec.label_names == {0: "background", 1: "liver", 2: "tumour", 3: "kidney"}
    assert spec.final_classes == {"liver": (1, 2), "tumour": (2,), "kidney": (3,)}
    cases = {case.id: case for case in find_cases(spec).cases}
    assert list(cases) == ["002", "first_001", "second_001", "x"]
    assert {name: label_values(case) for name, case in cases.items()} == {
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
    paths = [dataset(tmp_path / name, {name: [1]}, label_names={"1": "organ"}) for name in ("a", "b")]
    merged = merge_datasets(paths, tmp_path / "out", names=["here", "there"])
    content = json.loads(merged.dataset_json.read_text())
    assert "annotated_labels" not in content
    with (tmp_path / "out" / "cases.csv").open() as stream:
        assert list(csv.reader(stream)) == [["id", "source"], ["a", "here"], ["b", "there"]]


def test_the_ignored_label_has_a_name_of_its_own(tmp_path: Path) -> None:
    first = dataset(tmp_path / "a", {"a1": [1]}, label_names={"1": "ignore"})
    second = dataset(tmp_path / "b", {"b1": [1, 9]}, labels=[0, 1, 9], label_names={"1": "liver"}, ignore_label=9)
    spec = DatasetSpec.from_json(merge_datasets([first, second], tmp_path / "out").dataset_json)
    assert (spec.label_names, spec.ignore_label) == ({0: "background", 1: "ignore", 2: "liver"}, 3)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_description_that_no_command_would_read_is_refused(dry_run: bool, tmp_path: Path) -> None:
    first = dataset(tmp_path / "a", {"a1": [1]}, label_names={"0": "void", "1": "liver"})
    second = dataset(tmp_path / "b", {"b1": [1]}, label_names={"1": "void"})
    with pytest.raises(InputError, match=r"out/dataset\.json: \$\.label_names: uses the same name for several labels"):
        merge_datasets([first, second], tmp_path / "out", dry_run=dry_run)
    assert not (tmp_path / "out").exists()


def test_without_a_training_case_nothing_is_written(tmp_path: Path) -> None:
    paths = []
    for name in ("a", "b"):
        path = dataset(tmp_path / name, {f"{name}1": [1]}, **{"test-data": "test"})
        save_volume(tmp_path / name / "train" / f"{name}1" / "mask.nii.gz", np.full(SHAPE, 7, np.uint8))
        save_volume(tmp_path / name / "test" / f"{name}9" / "ct.nii.gz", np.zeros(SHAPE, np.float32))
        paths.append(path)
    with pytest.raises(InputError, match=r"holds \[7\]"):
        merge_datasets(paths, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_label_whose_cases_all_failed_is_refused(tmp_path: Path) -> None:
    first = dataset(tmp_path / "a", {"a1": [1]}, label_names={"1": "liver"})
    second = dataset(tmp_path / "b", {"b1": [5]}, label_names={"1": "spleen"})
    with pytest.raises(InputError) as refused:
        merge_datasets([first, second], tmp_path / "out")
    assert "b1: mask.nii.gz: holds [5]" in str(refused.value)
    assert "labels: [2] were annotated in no case" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_test_folder_is_described_where_test_cases_were_written(tmp_path: Path) -> None:
    first = dataset(tmp_path / "a", {"a1": [1]}, **{"test-data": "test"})
    second = dataset(tmp_path / "b", {"b1": [1]})
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


def test_a_place_among_the_cases_of_a_source_is_refused(sources: list[Path], tmp_path: Path) -> None:
    """The next run would take it for a case."""
    with pytest.raises(InputError, match="within the folder of the cases"):
        merge_datasets(sources, tmp_path / "first" / "train" / "both", names=("a", "b"))
    assert sorted(path.name for path in (tmp_path / "first" / "train").iterdir()) == ["001", "002"]


def test_a_folder_in_place_of_its_description_is_told_the_file(sources: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder; name the file dataset\.json in it"):
        merge_datasets([sources[0].parent, sources[1]], tmp_path / "out")


def test_a_warning_about_a_table_is_given_once(tmp_path: Path) -> None:
    first = dataset(tmp_path / "a", {"a1": [1]})
    second = dataset(tmp_path / "b", {"b1": [1]}, **{"test-data": "test"})
    shutil.copytree(tmp_path / "b" / "train", tmp_path / "b" / "test")
    (tmp_path / "b" / "cases.csv").write_bytes(b"id,patient\nb1,\xff\n")
    outcome = merge_datasets([first, second], tmp_path / "out", dry_run=True)
    told = [str(warning) for warning in outcome.warnings if "cases.csv" in str(warning)]
    assert len(told) == 1


def test_the_images_of_a_source_are_never_replaced(sources: list[Path], tmp_path: Path) -> None:
    content = json.loads(sources[0].read_text())
    (tmp_path / "first" / "train").rename(tmp_path / "images")
    sources[0].write_text(json.dumps({**content, "train-data": "../images"}))
    (tmp_path / "images" / "dataset.json").write_text("{}")
    with pytest.raises(InputError, match="within the folder of the cases"):
        merge_datasets(sources, tmp_path / "images", overwrite=True)
    (tmp_path / "above").mkdir()
    (tmp_path / "images").rename(tmp_path / "above" / "images")
    (tmp_path / "above" / "dataset.json").write_text("{}")
    sources[0].write_text(json.dumps({**content, "train-data": "../above/images"}))
    with pytest.raises(InputError, match="would replace"):
        merge_datasets(sources, tmp_path / "above", overwrite=True)
    assert len(list((tmp_path / "above" / "images").glob("*/ct.nii.gz"))) == 2
