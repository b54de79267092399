from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mist_bundle.dataset.prediction_inputs import match_prediction_inputs
from mist_bundle.errors import InputError
from tests.dataset.samples import save_volume, touch


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
    assert "the same file for two channels" in problems["twice"]


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
    save_volume(image, np.zeros((4, 4, 4), np.float32))
    with pytest.raises(InputError, match=r"holds 1 channel, but the model takes 2 channels \(t1, t2\)"):
        match_prediction_inputs(image, ["t1", "t2"])


def test_a_flat_folder_with_the_same_stem_twice(tmp_path):
    touch(tmp_path / "flat", "a.nii.gz", "a.nii")
    with pytest.raises(InputError, match=r"a\.nii and a\.nii\.gz"):
        match_prediction_inputs(tmp_path / "flat", ["ct"])


@pytest.mark.parametrize("name", ["$x", "new\nline", "a:b", "x" * 231])
def test_names_that_no_label_map_can_have_are_refused_however_they_are_given(tmp_path, name):
    touch(tmp_path / "folder", f"{name}.nii.gz", "good.nii.gz")
    found = match_prediction_inputs(tmp_path / "folder", ["t1"])
    assert [case.id for case in found.cases] == ["good"]
    assert [problem.path for problem in found.problems] == [name]
    with pytest.raises(InputError, match="cannot be predicted under this name: it "):
        match_prediction_inputs(tmp_path / "folder" / f"{name}.nii.gz", ["t1"])


def test_ids_that_differ_in_case_alone_are_told_once(tmp_path):
    image = save_volume(tmp_path / "a.nii.gz", np.zeros((4, 4, 4), np.int16))
    (tmp_path / "t.csv").write_text(f"id,t1\na,{image}\nA,{image}\n")
    (warning,) = match_prediction_inputs(tmp_path / "t.csv", ["t1"]).warnings
    assert str(warning).startswith("A, a: differ in upper and lower case alone")


def test_case_folders_that_differ_in_case_alone_are_reported_once(tmp_path):
    """Names that no label map can have are refused, and not compared with others."""
    long = 231 * "b"
    for name in ("A", "a", long, long.upper()):
        save_volume(tmp_path / name / "t1.nii.gz", np.zeros((4, 4, 4), np.int16))
    found = match_prediction_inputs(tmp_path, ["t1"])
    if len(found.cases) < 2:
        pytest.skip("a file system that does not tell upper from lower case")
    assert [case.id for case in found.cases] == ["A", "a"]
    alike = [warning.path for warning in found.warnings if "upper and lower case alone" in warning.message]
    assert alike == ["A, a"]


def test_what_is_advised_for_training_is_not_advised_here(tmp_path):
    """The model is trained: another dataset.json changes nothing."""
    for name in ("a", "b"):
        save_volume(tmp_path / name / "t1.nii.gz", np.zeros((4, 4, 4), np.int16))
    save_volume(tmp_path / "a" / "t2.nii.gz", np.zeros((4, 4, 4), np.int16))
    found = match_prediction_inputs(tmp_path, ["t1", "t2"])
    assert "no file matches" in str(found.problems[0])
    assert "optional_images" not in str(found.problems[0])
