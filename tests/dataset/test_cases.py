from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.dataset.cases import Case, case_column, find_cases
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import InputError
from tests.dataset.samples import touch, write_dataset, write_description


def find(folder: Path, split="train", **changes):
    return find_cases(DatasetSpec.from_json(write_description(folder, **changes)), split)


def test_cases_of_a_clean_dataset(tmp_path):
    found = find_cases(DatasetSpec.from_json(write_dataset(tmp_path, 3)))
    assert [case.id for case in found.cases] == ["case_000", "case_001", "case_002"]
    assert found.problems == ()
    assert found.warnings == ()
    case = found.cases[1]
    assert list(case.images) == ["t1", "t2"]
    assert case.images["t2"] == tmp_path / "train" / "case_001" / "t2.nii.gz"
    assert case.label == tmp_path / "train" / "case_001" / "seg.nii.gz"


def test_folder_names_do_not_identify_files(tmp_path):
    # MIST matches the whole path: here every file would be label and image at once
    root = tmp_path / "seg_and_t1_study"
    touch(root / "train" / "seg_t1", "t1.nii.gz", "t2.nii.gz", "seg.nii.gz")
    found = find(root, mask=["seg"], images={"t1": ["t1"], "t2": ["t2"]})
    assert found.cases[0].label.name == "seg.nii.gz"
    assert found.cases[0].images["t1"].name == "t1.nii.gz"


def test_stray_files_are_named_and_ignored(tmp_path):
    touch(tmp_path / "train" / "a", "t1.nii.gz", "t2.nii.gz", "seg.nii.gz", "seg.nii.gz.md5", "._t1.nii.gz", "t1.json")
    touch(tmp_path / "train", "README.txt", ".DS_Store", "t1.nii.gz")
    touch(tmp_path / "train" / ".git", "t1.nii.gz")
    found = find(tmp_path)
    assert [case.id for case in found.cases] == ["a"]
    assert found.problems == ()
    assert [Path(warning.path).name for warning in found.warnings] == ["README.txt", "t1.nii.gz"]


def test_each_doubtful_case_is_left_out_by_name(tmp_path):
    train = tmp_path / "train"
    touch(train / "good", "t1.nii.gz", "t2.nii.gz", "seg.nii.gz")
    touch(train / "no_label", "t1.nii.gz", "t2.nii.gz")
    touch(train / "no_channel", "t1.nii.gz", "seg.nii.gz")
    touch(train / "two_labels", "t1.nii.gz", "t2.nii.gz", "a_seg.nii.gz", "b_seg.nii.gz")
    touch(train / "one_for_two", "x_t1.nii.gz_t2.nii.gz", "seg.nii.gz")
    touch(train / "empty")
    touch(train / "link", "t1.nii.gz", "t2.nii.gz")
    (train / "link" / "seg.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    found = find(tmp_path)
    assert [case.id for case in found.cases] == ["good"]
    problems = {problem.path: problem.message for problem in found.problems}
    assert list(problems) == ["empty", "link", "no_channel", "no_label", "one_for_two", "two_labels"]
    assert 'no file matches "mask"' in problems["no_label"]
    assert "'t1.nii.gz', 't2.nii.gz'" in problems["no_label"]
    assert 'no file matches "t2"' in problems["no_channel"]
    assert '2 files match "mask"' in problems["two_labels"]
    assert "a_seg.nii.gz, b_seg.nii.gz" in problems["two_labels"]
    assert "matches t1 and t2" in problems["one_for_two"]
    assert "no image file" in problems["empty"]
    assert "seg.nii.gz is a broken link" in problems["link"]


def test_no_usable_case_is_an_error_that_names_all(tmp_path):
    for name in "ab":
        touch(tmp_path / "train" / name, "t1.nii.gz")
    with pytest.raises(InputError) as caught:
        find(tmp_path)
    assert [problem.path for problem in caught.value.problems][:2] == ["a", "b"]
    assert "no usable case" in str(caught.value)


def test_test_cases_need_no_label_but_keep_one(tmp_path):
    touch(tmp_path / "train" / "x")
    touch(tmp_path / "test" / "a", "t1.nii.gz", "t2.nii.gz")
    touch(tmp_path / "test" / "b", "t1.nii.gz", "t2.nii.gz", "seg.nii.gz")
    found = find(tmp_path, "test", **{"test-data": "test"})
    assert [(case.id, case.label is None) for case in found.cases] == [("a", True), ("b", False)]
    with pytest.raises(InputError, match="test-data"):
        find(tmp_path, "test")


def test_a_case_table_fills_extra(tmp_path):
    path = write_dataset(tmp_path, 2)
    (tmp_path / "cases.csv").write_text("id,site,fold\ncase_000,Bern,0\ncase_001,Oslo,1\ncase_009,Rom,0\n")
    found = find_cases(DatasetSpec.from_json(path))
    assert [case.extra for case in found.cases] == [{"site": "Bern", "fold": "0"}, {"site": "Oslo", "fold": "1"}]
    assert "case_009" in str(found.warnings[0])
    assert case_column(found.cases, "site") == {"case_000": "Bern", "case_001": "Oslo"}
    with pytest.raises(InputError, match='Did you mean "site"'):
        case_column(found.cases, "sites")


def test_a_column_with_holes_names_the_cases():
    cases = [Case(id="a", images={}, extra={"site": "x"}), Case(id="b", images={})]
    with pytest.raises(InputError, match='b: has nothing in the column "site"'):
        case_column(cases, "site")
    with pytest.raises(InputError, match=r"there is no cases\.csv"):
        case_column(cases[1:], "site")


def test_a_table_of_another_kind_beside_the_dataset_only_warns(tmp_path):
    path = write_dataset(tmp_path, 1)
    (tmp_path / "cases.csv").write_text("a,b\n1,2\n")
    found = find_cases(DatasetSpec.from_json(path))
    assert found.cases[0].extra == {}
    assert 'no column "id"' in str(found.warnings[0])
    assert "says nothing about patients" in str(found.warnings[0])


def test_cases_without_patient_beside_those_of_patients_are_reported(tmp_path):
    path = write_dataset(tmp_path, 4)
    (tmp_path / "cases.csv").write_text("id,patient\ncase_000,p1\ncase_001,p1\ncase_002,NaN\n")
    (warning,) = find_cases(DatasetSpec.from_json(path)).warnings
    assert str(warning).startswith("cases.csv: names no patient for case_002, case_003; each counts as a patient")
    (tmp_path / "cases.csv").write_text("id,site\ncase_000,p1\n")
    assert find_cases(DatasetSpec.from_json(path)).warnings == ()


def test_rows_of_many_cases_that_are_not_there_are_counted(tmp_path):
    path = write_dataset(tmp_path, 1)
    (tmp_path / "cases.csv").write_text("id,site\n" + "".join(f"gone_{number:02d},x\n" for number in range(30)))
    (warning,) = find_cases(DatasetSpec.from_json(path)).warnings
    assert warning.message.endswith("gone_06, gone_07 and 22 more.")


def test_ids_that_differ_in_case_alone_are_reported(tmp_path):
    path = write_dataset(tmp_path, 2)
    (tmp_path / "train" / "case_001").rename(tmp_path / "train" / "Case_000")
    if len(list((tmp_path / "train").iterdir())) < 2:
        pytest.skip("a file system that does not tell upper from lower case")
    (warning,) = find_cases(DatasetSpec.from_json(path)).warnings
    assert str(warning).startswith("Case_000, case_000: differ in upper and lower case alone")


def test_brats_sample_with_mists_identifying_strings(brats_dir, tmp_path):
    # "t1c" and "seg" must not be looked for in folder names; "brats" is part of every folder's
    path = write_description(
        tmp_path,
        **{"train-data": str(brats_dir), "labels": [0, 1, 2, 3, 4]},
        mask=["seg"],
        images={"t1c": ["t1c"], "flair": ["flair"]},
        final_classes={"WT": [1, 2, 3, 4], "TC": [1, 3, 4], "ET": [4]},
    )
    found = find_cases(DatasetSpec.from_json(path))
    assert len(found.cases) == 4
    assert found.problems == ()
    assert {(c.label.name, c.images["t1c"].name) for c in found.cases} == {("seg.nii.gz", "t1c.nii.gz")}
    assert "LICENSE" in str(found.warnings[0])
