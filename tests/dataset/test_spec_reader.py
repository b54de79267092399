from __future__ import annotations

import pytest

from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.spec_reader import json_kind
from mist_bundle.errors import InputError
from tests.dataset.samples import write_description


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train" / "case_1").mkdir(parents=True)
    return tmp_path


def problems_of(path):
    with pytest.raises(InputError) as caught:
        DatasetSpec.from_json(path)
    return {problem.path.split(": $.")[-1]: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("key", "value", "place", "words"),
    [
        ("task", ..., "task", ["missing"]),
        ("task", None, "task", ["missing"]),
        ("task", 7, "task", ["7", "quotes"]),
        ("task", "???", "task", ["no letter"]),
        ("modality", "MRI", "modality", ["'MRI'", 'Did you mean "mr"']),
        ("modality", ["ct"], "modality", ["expected"]),
        ("train-data", ..., "train-data", ["missing", "sub-folder"]),
        ("train-data", "trian", "train-data", ["trian", "does not exist"]),
        ("train-data", "dataset.json", "train-data", ["is a file"]),
        ("test-data", "nowhere", "test-data", ["nowhere", "does not exist"]),
        ("test-data", "train", "test-data", ["same folder"]),
        ("mask", "seg.nii.gz", "mask", ['Write ["seg.nii.gz"]']),
        ("mask", [], "mask", ["at least one"]),
        ("mask", ["seg", 3], "mask", ["3"]),
        ("mask", [""], "mask", ["''"]),
        ("images", ["t1"], "images", ["channels"]),
        ("images", {}, "images", ["channels"]),
        ("images", {"t1": "t1.nii.gz"}, "images.t1", ['Write ["t1.nii.gz"]']),
        ("images", {"t1": None}, "images.t1", ["null"]),
        ("images", {"a/b": ["x"]}, "images", ["'a/b'", "'/'"]),
        ("images", {"mask": ["x"]}, "images", ["reserved"]),
        ("images", {"t1": ["seg.nii.gz"]}, "mask", ["images.t1", "one role"]),
        ("images", {"t1": ["a"], "t2": ["a"]}, "images.t2", ["images.t1"]),
        ("labels", [1, 4], "labels", ["without 0"]),
        ("labels", [0, 1, 4, 4], "labels", ["[4]", "more than once"]),
        ("labels", [0, 1, 4, -1], "labels", ["[-1]", "0 or larger"]),
        ("labels", [0, 1, 4, 1.5], "labels", ["[1.5]"]),
        ("labels", [0, 1, 4, "2"], "labels", ['["2"]']),
        ("labels", [0, True, 4, 1], "labels", ["[true]"]),
        ("labels", {"0": "background"}, "labels", ["[0, 1, 2]"]),
        ("final_classes", {"a": [1, 2, 4]}, "final_classes.a", ["[2]", "[0, 1, 4]"]),
        ("final_classes", {"a": 1}, "final_classes.a", ["Write [1]"]),
        ("final_classes", {"a": []}, "final_classes.a", ["list of labels"]),
        ("final_classes", {" ": [1]}, "final_classes", ["is empty"]),
        ("final_classes", {"a": [1, 1]}, "final_classes.a", ["twice"]),
        ("final_classes", [], "final_classes", ["class names"]),
        ("label_names", {"2": "spleen"}, "label_names", ["'2'"]),
        ("label_names", {"1": ""}, "label_names.1", ["name in quotes"]),
        ("label_names", {"1": "x", "4": "x"}, "label_names", ["same name for several"]),
        ("label_names", ["x"], "label_names", ["names by label"]),
        ("train_data", "train", "train_data", ["not a known key", 'Did you mean "train-data"?']),
        ("lisence", "CC0", "lisence", ['Did you mean "licence"?']),
        ("qwertz", 1, "qwertz", ["Known keys: task"]),
        ("description", 3, "description", ["quotes"]),
    ],
)
def test_each_mistake_is_named_with_place_and_remedy(folder, key, value, place, words):
    problems = problems_of(write_description(folder, **{key: value}))
    assert list(problems) == [place]
    for word in words:
        assert word in problems[place]


def test_all_mistakes_are_reported_at_once(folder):
    changes = {
        "task": ...,
        "modality": "xray",
        "train-data": "no",
        "mask": [],
        "labels": [1],
        "lables": [0],
        "images": {},
    }
    problems = problems_of(write_description(folder, **changes))
    assert {"task", "modality", "train-data", "mask", "labels", "lables", "images"} <= set(problems)


def test_labels_without_foreground(folder):
    assert "besides the background" in problems_of(write_description(folder, labels=[0]))["labels"]


def test_an_empty_train_folder(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "notes.txt").touch()
    assert "holds no case folder" in problems_of(write_description(tmp_path))["train-data"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [({}, "an object"), ([], "a list"), ("x", "text"), (True, "true or false"), (None, "null"), (1.5, "a number")],
)
def test_kinds_of_json_values(value, kind):
    assert json_kind(value) == kind
