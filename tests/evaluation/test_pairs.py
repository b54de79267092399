"""Which prediction belongs to which reference, and the classes that are scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.errors import InputError
from mist_bundle.evaluation.pairs import Classes, find_pairs, label_maps, read_classes


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_folders_are_paired_by_the_names_of_their_files(tmp_path: Path) -> None:
    reference, prediction = tmp_path / "reference", tmp_path / "prediction"
    _touch(reference / "b.nii.gz", reference / "a.nii", reference / "c.nii.gz")
    _touch(prediction / "a.nii.gz", prediction / "b.nii.gz", prediction / "d.nii.gz", prediction / "notes.txt")
    pairing = find_pairs(None, reference, prediction)
    assert [pair.id for pair in pairing.pairs] == ["a", "b"]
    assert pairing.pairs[0].reference == reference / "a.nii"
    assert pairing.pairs[0].prediction == prediction / "a.nii.gz"
    assert [str(problem) for problem in pairing.problems] == [
        f"d: has no reference in {reference}.",
        f"c: has no prediction in {prediction}.",
    ]
    assert pairing.num_cases == 4


def test_an_id_of_two_files_is_a_problem_of_its_own(tmp_path: Path) -> None:
    reference, prediction = tmp_path / "reference", tmp_path / "prediction"
    _touch(reference / "a.nii.gz", prediction / "a.nii.gz", prediction / "a.nii", prediction / "a.nrrd")
    files, problems = label_maps(prediction)
    assert files == {}
    assert [str(problem) for problem in problems] == [f"a: is the id of a.nii, a.nii.gz and a.nrrd in {prediction}."]
    pairing = find_pairs(None, reference, prediction)
    assert pairing.pairs == ()
    assert pairing.problems == tuple(problems), "the case is not also reported as missing"


def test_a_table_and_folders_exclude_each_other(tmp_path: Path) -> None:
    for arguments in ((tmp_path, tmp_path, None), (tmp_path, None, tmp_path), (None, tmp_path, None)):
        with pytest.raises(InputError, match="--reference"):
            find_pairs(*arguments)


def test_a_table_names_files_relative_to_itself(tmp_path: Path) -> None:
    _touch(tmp_path / "masks/1.nii.gz", tmp_path / "out/1.nii.gz")
    (tmp_path / "pairs.csv").write_text("id,mask,prediction\n001,masks/1.nii.gz,out/1.nii.gz\n002,masks/1.nii.gz,\n")
    pairing = find_pairs(tmp_path / "pairs.csv", None, None)
    (pair,) = pairing.pairs
    assert (pair.id, pair.reference) == ("001", tmp_path / "masks/1.nii.gz")
    assert [problem.path for problem in pairing.problems] == ["002"]
    assert "prediction is empty" in pairing.problems[0].message


def _classes(tmp_path: Path, content: Any, **known: Any) -> Classes:
    path = tmp_path / "classes.json"
    path.write_text(json.dumps(content))
    return read_classes(path, **known)


def test_classes_are_read_from_every_kind_of_file(tmp_path: Path) -> None:
    expected = {"tumor": (1, 2), "edema": (2,)}
    plain = {"tumor": [1, 2], "edema": [2]}
    mist = {"evaluation": {name: {"labels": labels, "metrics": {}} for name, labels in plain.items()}}
    for content in (plain, {"final_classes": plain, "task": "x"}, mist, mist["evaluation"]):
        assert _classes(tmp_path, content).final_classes == expected


def test_a_dataset_json_also_names_all_labels(tmp_path: Path) -> None:
    dataset = {"labels": [0, 1, 2, 9], "ignore_label": 9, "final_classes": {"tumor": [1, 2]}}
    assert _classes(tmp_path, dataset) == Classes(final_classes={"tumor": (1, 2)}, labels=(0, 1, 2), ignore_label=9)
    asked = _classes(tmp_path, dataset, labels=(0, 1, 2, 3), ignore_label=7)
    assert (asked.labels, asked.ignore_label) == ((0, 1, 2, 3), 7)


@pytest.mark.parametrize("content", [[], {}, 3, {"a": []}, {"a": [True]}, {"a": ["1"]}, {"a": 1}, {"final_classes": 1}])
def test_other_contents_are_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(InputError, match="must hold class names and their labels"):
        _classes(tmp_path, content)


def test_labels_of_a_class_must_occur_in_the_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"classes\.json: tumor: has labels \[2\], which are not in \[0, 1\]"):
        _classes(tmp_path, {"tumor": [1, 2]}, labels=(0, 1))


def test_every_class_that_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        _classes(tmp_path, {"a": [1], "b": "2", "c": [], "d": [1.5]})
    assert [str(problem).split(": ")[1] for problem in refused.value.problems] == ["b", "c", "d"]


def test_a_class_of_the_ignored_label_is_refused(tmp_path: Path) -> None:
    """Its scores would be 0 in every case."""
    with pytest.raises(InputError, match="b: holds the label 2, which is ignored"):
        _classes(tmp_path, {"a": [1], "b": [2]}, ignore_label=2)
