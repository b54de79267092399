from __future__ import annotations

import json
from pathlib import Path

import pytest

from mist_bundle.dataset.cases import Case, case_column, find_cases, match_files, match_prediction_inputs
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import InputError
from tests.dataset.samples import write_dataset, write_description


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


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


@pytest.mark.parametrize(
    ("names", "patterns", "expected"),
    [
        # the whole name wins over a part of another name
        (["t1.nii.gz", "ct1.nii.gz"], {"t1": ["t1.nii.gz"], "ct1": ["ct1.nii.gz"]}, {"t1": 0, "ct1": 1}),
        (["t1.nii.gz", "t1ce.nii.gz"], {"t1": ["t1"], "t1ce": ["t1ce"]}, {"t1": 0, "t1ce": 1}),
        (["P_t1.nii.gz", "P_t1ce.nii.gz"], {"t1": ["_t1.nii.gz"], "t1ce": ["_t1ce"]}, {"t1": 0, "t1ce": 1}),
        (["mri.nii"], {"mri": ["mri.nii.gz", "mri.nii"]}, {"mri": 0}),
        # the order of the files and several strings for one role do not matter
        (["b_flair.nii", "a_seg.nii"], {"mask": ["mask", "seg"], "flair": ["flair"]}, {"mask": 1, "flair": 0}),
    ],
)
def test_matching_without_doubt(names, patterns, expected):
    files = [Path("case") / name for name in names]
    chosen, findings = match_files(files, patterns)
    assert findings == []
    assert chosen == {role: files[index] for role, index in expected.items()}


def test_a_part_of_two_names_is_a_doubt():
    files = [Path("P_t1.nii.gz"), Path("P_t1ce.nii.gz")]
    chosen, findings = match_files(files, {"t1": ["t1"]})
    assert chosen == {}
    assert "P_t1.nii.gz, P_t1ce.nii.gz" in findings[0]
    assert "more specific" in findings[0]


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


@pytest.fixture
def files(tmp_path):
    touch(tmp_path, "1.nii.gz", "2.nii.gz", "3.nii.gz", "4.nii.gz")
    return tmp_path


def as_table(folder: Path, rows: list[dict[str, str]], kind: str) -> Path:
    path = folder / f"inputs.{'csv' if kind == 'csv' else 'json'}"
    if kind == "csv":
        columns = list(rows[0])
        lines = [",".join(columns), *(",".join(row.get(column, "") for column in columns) for row in rows)]
        path.write_text("\n".join(lines))
    elif kind == "list":
        path.write_text(json.dumps(rows))
    else:
        path.write_text(json.dumps({row["id"]: {k: v for k, v in row.items() if k != "id"} for row in rows}))
    return path


@pytest.mark.parametrize("kind", ["csv", "list", "dict"])
def test_channels_are_matched_by_name_not_by_position(files, kind):
    # MIST takes the columns in the order of the table and would swap the channels here
    rows = [{"id": "007", "t2": "2.nii.gz", "site": "Bern", "t1": "1.nii.gz", "fold": "3", "mask": "3.nii.gz"}]
    found = match_prediction_inputs(as_table(files, rows, kind), ["t1", "t2"])
    (case,) = found.cases
    assert case.id == "007"
    assert case.images == {"t1": files / "1.nii.gz", "t2": files / "2.nii.gz"}
    assert list(case.images) == ["t1", "t2"]
    assert case.label == files / "3.nii.gz"
    assert case.extra == {"site": "Bern", "fold": "3"}
    assert len(found.warnings) == 1
    assert "['site']" in str(found.warnings[0])


@pytest.mark.parametrize("kind", ["csv", "list", "dict"])
def test_bad_rows_are_left_out_by_name(files, kind):
    rows = [
        {"id": "good", "t1": "1.nii.gz", "t2": "2.nii.gz", "mask": "gone.nii.gz"},
        {"id": "gone", "t1": "1.nii.gz", "t2": "x.nii.gz"},
        {"id": "hole", "t1": "1.nii.gz"},
        {"id": "twice", "t1": "1.nii.gz", "t2": "1.nii.gz"},
    ]
    found = match_prediction_inputs(as_table(files, rows, kind), ["t1", "t2"])
    assert [case.id for case in found.cases] == ["good"]
    assert found.cases[0].label is None
    problems = {problem.path: problem.message for problem in found.problems}
    assert "x.nii.gz" in problems["gone"]
    assert "does not exist" in problems["gone"]
    assert 'no file for "t2"' in problems["hole"]
    assert "one file for two channels" in problems["twice"]


def test_a_missing_channel_column_names_the_nearest(files):
    path = as_table(files, [{"id": "a", "t1": "1.nii.gz", "flare": "2.nii.gz"}], "csv")
    with pytest.raises(InputError, match=r'no column for the channel "flair".*Did you mean "flare"'):
        match_prediction_inputs(path, ["t1", "flair"])


def test_tables_without_a_usable_row(files):
    with pytest.raises(InputError, match="names no usable case"):
        match_prediction_inputs(as_table(files, [{"id": "a", "t1": "gone.nii.gz"}], "csv"), ["t1"])
    with pytest.raises(InputError, match="does not exist"):
        match_prediction_inputs(files / "absent.csv", ["t1"])


def test_prediction_folders(tmp_path):
    touch(tmp_path / "cases" / "a", "t1.nii.gz", "t2.nii.gz", "seg.nii.gz")
    touch(tmp_path / "cases" / "b", "t1.nii.gz")
    found = match_prediction_inputs(tmp_path / "cases", ["t1", "t2"])
    assert [case.id for case in found.cases] == ["a"]
    assert [problem.path for problem in found.problems] == ["b"]
    patterns = {"t2": ["_b"], "t1": ["_a"]}
    touch(tmp_path / "named" / "p", "x_a.nii.gz", "x_b.nii")
    (case,) = match_prediction_inputs(tmp_path / "named", ["t1", "t2"], patterns).cases
    assert [path.name for path in case.images.values()] == ["x_a.nii.gz", "x_b.nii"]


def test_a_flat_folder_holds_one_case_a_file_or_a_single_case(tmp_path):
    touch(tmp_path / "flat", "b.nii.gz", "a.nii", "notes.txt")
    found = match_prediction_inputs(tmp_path / "flat", ["ct"])
    assert [(case.id, case.images["ct"].name) for case in found.cases] == [("a", "a.nii"), ("b", "b.nii.gz")]
    touch(tmp_path / "patient_7", "t1.nii.gz", "t2.nii.gz")
    (case,) = match_prediction_inputs(tmp_path / "patient_7", ["t1", "t2"]).cases
    assert case.id == "patient_7"
    with pytest.raises(InputError, match="neither case folders nor images"):
        match_prediction_inputs(touch(tmp_path / "void"), ["ct"])
    with pytest.raises(InputError, match='single case: no file matches "t9"'):
        match_prediction_inputs(tmp_path / "patient_7", ["t1", "t9"])


def test_a_single_image_is_a_case(tmp_path):
    image = touch(tmp_path / "scans", "scan_7.nii.gz") / "scan_7.nii.gz"
    (case,) = match_prediction_inputs(image, ["ct"]).cases
    assert (case.id, case.images) == ("scan_7", {"ct": image})
    with pytest.raises(InputError, match=r"is one image, but the model takes 2 channels \(t1, t2\)"):
        match_prediction_inputs(image, ["t1", "t2"])


def test_a_flat_folder_with_the_same_stem_twice(tmp_path):
    touch(tmp_path / "flat", "a.nii.gz", "a.nii")
    with pytest.raises(InputError, match=r"a\.nii and a\.nii\.gz"):
        match_prediction_inputs(tmp_path / "flat", ["ct"])


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
