"""Scoring files from a table and from folders; bad pairs are named and the others scored."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mist_bundle import cli
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED, InputError
from mist_bundle.evaluation.pairs import Classes, find_pairs
from mist_bundle.evaluation.score import ScoreSettings, score_files, settings_from

from .samples import HEADERS, save_label, save_with_header


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    label = np.zeros((12, 12, 12))
    label[3:8, 3:8, 3:8] = 1
    for name in ("001", "002", "003"):
        save_label(tmp_path / "reference" / f"{name}.nii.gz", label)
    save_label(tmp_path / "prediction" / "001.nii.gz", label)
    save_label(tmp_path / "prediction" / "002.nii.gz", np.roll(label, 1, axis=0))
    (tmp_path / "classes.json").write_text(json.dumps({"organ": [1]}))
    return tmp_path


def _evaluate(capsys: pytest.CaptureFixture[str], folders: Path, *words: str) -> tuple[int, str]:
    fixed = ("--classes", str(folders / "classes.json"), "--output", str(folders / "results.csv"))
    code = cli.main(["evaluate", *fixed, *words])
    return code, capsys.readouterr().err


def _folders(folders: Path) -> tuple[str, ...]:
    return ("--reference", str(folders / "reference"), "--prediction", str(folders / "prediction"))


def _table(folders: Path) -> pd.DataFrame:
    return pd.read_csv(folders / "results.csv", dtype={"id": str})


def test_folders_are_paired_by_name_and_a_missing_one_is_named(
    capsys: pytest.CaptureFixture[str], folders: Path
) -> None:
    # MIST 2.3.0 leaves it out of table and means without a word, and ends with 0
    fixed = ("--classes", str(folders / "classes.json"), "--output", str(folders / "results.csv"))
    code = cli.main(["evaluate", *fixed, *_folders(folders)])
    printed, errors = capsys.readouterr()
    assert code == EXIT_SOME_CASES_FAILED
    assert printed.splitlines()[0].split() == ["2", "cases", "mean", "median", "worst"]
    assert "organ_dice     0.900     0.900  002 0.800, 001 1.000" in printed
    assert "1 of 3 cases failed" in errors
    assert "003: has no prediction" in errors
    table = _table(folders)
    assert list(table["id"][:2]) == ["001", "002"]
    np.testing.assert_allclose(table["organ_dice"][:2], [1.0, 0.8])
    np.testing.assert_allclose(table["organ_hd95"][:2], [0.0, 1.0])
    results = json.loads((folders / "results.json").read_text())
    assert results["summary"]["organ_dice"]["Mean"] == pytest.approx(0.9)
    assert results["num_cases"] == 2
    assert results["num_failed"] == 1
    assert results["failed"][0]["id"] == "003"


def test_last_rows_are_statistics_in_the_order_of_the_paper(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    label = np.zeros((12, 12, 12))
    label[4:9, 3:8, 4:9] = 1
    save_label(folders / "prediction" / "003.nii.gz", label)
    code, errors = _evaluate(capsys, folders, *_folders(folders), "--workers", "2")
    assert (code, errors) == (EXIT_OK, "")
    with (folders / "results.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["id", "organ_dice", "organ_hd95"]
    names = ["Mean", "Std", "Median", "25th Percentile", "75th Percentile"]
    assert [row[0] for row in rows[1:]] == ["001", "002", "003", *names]
    for column in (1, 2):
        values = [float(row[column]) for row in rows[1:4]]
        low, high = np.percentile(values, [25, 75])
        expected = [np.mean(values), np.std(values), np.median(values), low, high]
        np.testing.assert_allclose([float(row[column]) for row in rows[4:]], expected)


def test_all_that_is_wrong_is_in_one_report(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    label = np.asarray(nib.load(folders / "reference/001.nii.gz").dataobj)
    moved, turned = np.eye(4), np.diag([1.0, 1.0, 2.0, 1.0])
    moved[0, 3] = 7
    cases = {
        "good": (label, label, None),
        "moved": (label, label, moved),
        "spacing": (label, label, turned),
        "shape": (label, label[:-1], None),
        "unlisted": (label, np.where(label == 1, 5, 0), None),
        "fraction": (label, label * 0.5, None),
        "damaged": (label, label, None),
    }
    rows = []
    for name, (reference, prediction, affine) in cases.items():
        save_label(folders / "a" / f"{name}.nii.gz", reference)
        save_label(folders / "b" / f"{name}.nii.gz", prediction, affine)
        rows.append(f"{name},a/{name}.nii.gz,b/{name}.nii.gz")
    damaged = folders / "b" / "damaged.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    rows += ["gone,a/good.nii.gz,b/gone.nii.gz", "empty,a/good.nii.gz,", "twice,a/good.nii.gz,b/good.nii.gz"]
    rows += ["twice,a/good.nii.gz,b/good.nii.gz"]
    (folders / "pairs.csv").write_text("id,mask,prediction\n" + "\n".join(rows) + "\n")
    code, errors = _evaluate(capsys, folders, "--paths", str(folders / "pairs.csv"), "--labels", "0,1")
    assert code == EXIT_SOME_CASES_FAILED
    for case, said in {
        "moved": "its origin is shifted by (7, 0, 0) mm",
        "spacing": "its spacing is (1, 1, 2) mm, expected (1, 1, 1) mm",
        "shape": "its shape is (11, 12, 12), expected (12, 12, 12)",
        "unlisted": "holds the label 5 (125 voxels); expected only [0, 1]",
        "fraction": "holds 0.5; labels must be whole numbers",
        "damaged": "is cut short",
        "gone": "cannot be read",
        "empty": "prediction is empty",
        "twice": "stands in pairs.csv",
    }.items():
        assert any(line.startswith(f"{case}: ") and said in line for line in errors.splitlines()), case
    assert "Traceback" not in errors
    assert list(_table(folders)["id"][:-5]) == ["good"]
    failed = json.loads((folders / "results.json").read_text())["failed"]
    assert {one["id"] for one in failed} == {*cases, "gone", "empty", "twice"} - {"good"}


def test_nothing_is_written_when_no_case_can_be_scored(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    for path in (folders / "prediction").iterdir():
        path.write_bytes(b"no image")
    code, errors = _evaluate(capsys, folders, *_folders(folders))
    assert code == EXIT_INPUT_REFUSED
    assert all(f"{name}: " in errors for name in ("001", "002", "003"))
    assert not (folders / "results.csv").exists()


def test_two_files_of_one_id_are_named(folders: Path) -> None:
    label = np.asarray(nib.load(folders / "reference/001.nii.gz").dataobj)
    save_label(folders / "prediction" / "001.nii", label)
    found = find_pairs(None, folders / "reference", folders / "prediction")
    assert [pair.id for pair in found.pairs] == ["002"]
    assert [str(problem).split(" in ")[0] for problem in found.problems] == [
        "001: is the id of 001.nii and 001.nii.gz",
        "003: has no prediction",
    ]


def test_a_label_in_no_class_is_reported_once_for_all_cases(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    for name in ("001", "002", "003"):
        label = np.zeros((12, 12, 12))
        label[3:8, 3:8, 3:8] = 1
        label[0, 0, 0:2] = (4, 9)
        save_label(folders / "prediction" / f"{name}.nii.gz", label)
    code, errors = _evaluate(capsys, folders, *_folders(folders))
    assert code == EXIT_OK
    assert "001, 002, 003: the prediction holds the labels 4, 9, in no class and not scored." in errors
    assert errors.count("in no class") == 1


def test_a_file_is_not_scored_against_itself(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    (folders / "link.nii.gz").symlink_to(folders / "reference/002.nii.gz")
    rows = ["1,reference/001.nii.gz,prediction/001.nii.gz", "2,reference/002.nii.gz,link.nii.gz"]
    (folders / "pairs.csv").write_text("\n".join(["id,mask,prediction", *rows]))
    code, errors = _evaluate(capsys, folders, "--paths", str(folders / "pairs.csv"))
    assert code == EXIT_SOME_CASES_FAILED
    assert "2: " in errors
    assert "002.nii.gz is both reference and prediction" in errors


def test_prediction_in_another_storage_order_has_the_same_scores(
    capsys: pytest.CaptureFixture[str], folders: Path
) -> None:
    label = np.zeros((12, 13, 14), np.uint8)
    label[3:8, 2:8, 3:9] = 1
    affine = np.array([[0.9, 0.2, 0, -5], [-0.2, 0.9, 0, 4], [0, 0, 2, 3], [0, 0, 0, 1]])
    save_label(folders / "reference/004.nii.gz", label, affine)
    scores = []
    for order in (((0, 1), (1, 1), (2, 1)), ((2, -1), (0, 1), (1, -1))):
        stored = nib.Nifti1Image(np.roll(label, 1, axis=0), affine).as_reoriented(np.array(order))
        nib.save(stored, folders / "prediction/004.nii.gz")
        _evaluate(capsys, folders, *_folders(folders), "--overwrite")
        table = _table(folders)
        scores.append(table[table["id"] == "004"].iloc[0, 1:].tolist())
    assert scores[0] == pytest.approx(scores[1])
    assert 0 < scores[0][0] < 1


@pytest.mark.parametrize("header", HEADERS)
def test_files_with_any_header_are_scored_in_millimetres(
    capsys: pytest.CaptureFixture[str], folders: Path, header: str
) -> None:
    label = np.zeros((12, 13, 14), np.uint8)
    label[3:8, 2:8, 3:9] = 1
    save_with_header(folders / "reference/004.nii.gz", label, header)
    save_with_header(folders / "prediction/004.nii.gz", np.roll(label, 1, axis=0), header)
    _evaluate(capsys, folders, *_folders(folders), "--metrics", "dice,hausdorff,volume_difference")
    table = _table(folders)
    dice, hausdorff, _ = table[table["id"] == "004"].iloc[0, 1:].tolist()
    assert dice == pytest.approx(0.8)
    assert hausdorff == pytest.approx(2, rel=1e-5), "one voxel of 2 mm, whatever the unit of the header"


def test_a_class_that_never_occurs_is_reported(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    (folders / "classes.json").write_text('{"there": [1], "nowhere": [77]}')
    _, said = _evaluate(capsys, folders, *_folders(folders))
    assert "warning: class nowhere: occurs in no reference and no prediction; its scores say nothing." in said
    assert "class there" not in said


def test_a_table_that_cannot_be_written_is_refused_before_anything_is_scored(
    capsys: pytest.CaptureFixture[str], folders: Path
) -> None:
    (folders / "file").write_text("")
    code = cli.main(
        [
            "evaluate",
            *_folders(folders),
            "--classes",
            str(folders / "classes.json"),
            "--output",
            str(folders / "file/x.csv"),
        ]
    )
    assert code == 2
    assert "cannot be created" in capsys.readouterr().err


def test_an_odd_header_is_reported_at_scoring_too(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    label = np.zeros((12, 13, 14), np.uint8)
    label[3:8, 2:8, 3:9] = 1
    for part in ("reference", "prediction"):
        image = nib.Nifti1Image(label, np.diag([1.0, 1.0, 2.0, 1.0]))
        image.set_qform(None, 0)
        image.set_sform(None, 0)
        nib.save(image, folders / part / "004.nii.gz")
    _, said = _evaluate(capsys, folders, *_folders(folders))
    assert said.count("warning: 004: 004.nii.gz has no orientation in its header") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"id,mask,prediction\n", "holds no cases: nothing follows its header line"),
        (b"id,mask\na,b\n", "has no column ['prediction']"),
        ("id,mask,prediction\n\u00e4,b,c\n".encode("latin-1"), "is not UTF-8 text"),
        ("id,mask,prediction\na,b,c\n".encode("utf-16"), "is not UTF-8 text"),
        (b"id,mask,prediction\na,b,c,d\n", "line 2 has 4 cells, but the header has 3"),
        (None, "is not a regular file"),
    ],
)
def test_tables_that_are_none_have_one_clear_answer(
    capsys: pytest.CaptureFixture[str], folders: Path, content: bytes | None, said: str
) -> None:
    table = folders / "pairs.csv"
    if content is None:
        os.mkfifo(table)
    else:
        table.write_bytes(content)
    code, errors = _evaluate(capsys, folders, "--paths", str(table))
    assert code == EXIT_INPUT_REFUSED
    assert str(table) in errors
    assert said in errors
    assert not (folders / "results.csv").exists()


def test_a_table_from_a_spreadsheet_is_read(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    rows = ["id;mask;prediction", "001;reference/001.nii.gz;prediction/001.nii.gz", ""]
    (folders / "pairs.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode())
    code, _ = _evaluate(capsys, folders, "--paths", str(folders / "pairs.csv"))
    assert code == EXIT_OK
    assert list(_table(folders)["id"][:-5]) == ["001"]


def test_a_pipe_among_the_volumes_costs_its_case_only(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    os.mkfifo(folders / "pipe.nii.gz")
    rows = ["1,reference/001.nii.gz,prediction/001.nii.gz", "2,reference/002.nii.gz,pipe.nii.gz"]
    (folders / "pairs.csv").write_text("\n".join(["id,mask,prediction", *rows]))
    code, errors = _evaluate(capsys, folders, "--paths", str(folders / "pairs.csv"))
    assert code == EXIT_SOME_CASES_FAILED
    assert f"2: {folders / 'pipe.nii.gz'}: is not a regular file" in errors


def test_requests_that_cannot_be_met(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    for words, said in (
        (("--metrics", "dise"), "Did you mean 'dice'"),
        (("--metrics", "dice", "--metric_options", '{"dice": {"tolerance_mm": 1}}'), "dice has no option"),
        (("--metrics", "dice", "--metric_options", "nothing.json"), "--metric_options: is not JSON"),
        (("--both_empty", "zero"), "--both_empty: there is no rule called 'zero'"),
        (("--epochs", "3"), "--epochs: is not an option without a bundle"),
        (("--labels", "0,2"), "labels [1], which are not in [0, 2]"),
        (("--paths", "pairs.csv"), "--paths: says the same as --reference and --prediction"),
    ):
        code, errors = _evaluate(capsys, folders, *_folders(folders), *words)
        assert code == EXIT_INPUT_REFUSED
        assert said in errors
    code, errors = _evaluate(capsys, folders, "--reference", str(folders / "reference"))
    assert "needs a bundle" in errors
    assert cli.main(["evaluate", *_folders(folders)]) == EXIT_INPUT_REFUSED
    assert "--classes" in capsys.readouterr().err
    assert not (folders / "results.csv").exists()
    (folders / "results.csv").write_text("kept")
    code, errors = _evaluate(capsys, folders, *_folders(folders))
    assert code == EXIT_INPUT_REFUSED
    assert "--overwrite" in errors


def test_options_reach_the_metrics(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    (folders / "options.json").write_text('{"surf_dice": {"tolerance_mm": 0.5}}')
    words = ("--metrics", "surf_dice,nsd", "--metric_options", str(folders / "options.json"))
    _evaluate(capsys, folders, *_folders(folders), *words)
    table = _table(folders)
    assert list(table.columns) == ["id", "organ_surface_dice", "organ_normalized_surface_distance"]
    assert table["organ_normalized_surface_distance"][1] == 1.0
    assert table["organ_surface_dice"][1] < 1.0


def test_a_data_set_gives_references_classes_and_labels(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", num_cases=2, num_test=0, shape=(16, 16, 12))
    content = json.loads(data.read_text())
    for folder in sorted((data.parent / "train").iterdir()):
        mask = next(path for path in folder.iterdir() if any(text in path.name for text in content["mask"]))
        image = nib.load(mask)
        save_label(tmp_path / "out" / f"{folder.name}.nii.gz", np.asarray(image.dataobj), image.affine)
    output = tmp_path / "results.csv"
    words = ["--reference", str(data), "--prediction", str(tmp_path / "out"), "--output", str(output)]
    assert cli.main(["evaluate", *words]) == EXIT_OK
    table = pd.read_csv(output)
    assert list(table.columns[1::2]) == [f"{name}_dice" for name in content["final_classes"]]
    assert set(table.iloc[:2, 1::2].to_numpy().ravel()) == {1.0}


def test_classes_whose_columns_would_share_a_name_keep_all_their_scores(
    capsys: pytest.CaptureFixture[str], folders: Path
) -> None:
    (folders / "classes.json").write_text(json.dumps({"tumor": [1], "tumor_lesion": [2]}))
    _evaluate(capsys, folders, *_folders(folders), "--metrics", "dice,lesion_dice")
    names = ["tumor_dice", "tumor:lesion_dice", "tumor_lesion:dice", "tumor_lesion_lesion_dice"]
    table = _table(folders)
    assert list(table.columns) == ["id", *names]
    np.testing.assert_allclose(table.iloc[1, 1:].astype(float), [0.8, 0.8, 1.0, 1.0])


def test_a_case_is_not_called_like_a_row_of_statistics(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    label = np.asarray(nib.load(folders / "reference/001.nii.gz").dataobj)
    for name in ("Mean", "25th percentile"):
        save_label(folders / "reference" / f"{name}.nii.gz", label)
        save_label(folders / "prediction" / f"{name}.nii.gz", label)
    code, errors = _evaluate(capsys, folders, *_folders(folders))
    assert code == EXIT_SOME_CASES_FAILED
    assert "Mean: is the name of a row of statistics in the results. Rename the case." in errors
    assert "25th percentile: is the name of a row" in errors
    assert list(_table(folders)["id"][:-5]) == ["001", "002"]


def test_values_that_are_left_out_and_labels_that_are_not_scored_are_reported(
    capsys: pytest.CaptureFixture[str], folders: Path
) -> None:
    label = np.zeros((12, 12, 12))
    label[2, 2, 2] = 7
    save_label(folders / "prediction" / "003.nii.gz", label)
    words = ("--one_empty", "nan", "--metrics", "dice,volume_difference")
    code, errors = _evaluate(capsys, folders, *_folders(folders), *words)
    assert code == EXIT_OK
    assert "003: the prediction holds the label 7, in no class and not scored." in errors
    assert "organ_dice: has no value in 1 of 3 cases; the statistics leave out 003." in errors
    assert "organ_volume_difference" not in errors
    assert json.loads((folders / "results.json").read_text())["undefined"] == {"organ_dice": ["003"]}
    assert _table(folders)["organ_volume_difference"][2] == pytest.approx(0.125)


def test_mists_configuration_names_the_classes(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    theirs = {"evaluation": {"organ": {"labels": [1], "metrics": {"dice": {}}}}}
    (folders / "classes.json").write_text(json.dumps(theirs))
    _evaluate(capsys, folders, *_folders(folders))
    assert list(_table(folders).columns) == ["id", "organ_dice", "organ_hd95"]


MIST = """
import json, sys
import pandas as pd
from mist.evaluation.evaluator import Evaluator
request = json.load(open(sys.argv[1]))
evaluator = Evaluator(pd.DataFrame(request["pairs"]), request["classes"], "")
rows = {}
for name in evaluator.filepaths_dataframe.index:
    row, errors = evaluator._evaluate_patient_pipeline(name)
    assert errors is None, errors
    rows[name] = {key: float(value) for key, value in row.items() if key != "id"}
json.dump(rows, open(sys.argv[2], "w"))
"""


@pytest.mark.slow
def test_dice_and_distances_are_mists(brats_dir: Path, tmp_path: Path) -> None:
    python = os.environ.get("MIST_PYTHON")
    if not python:
        pytest.skip("MIST_PYTHON names no interpreter that can import mist-medical")
    pairs = []
    for path in sorted(brats_dir.glob("*/seg.nii.gz")):
        image = nib.load(path)
        label = np.asarray(image.dataobj)
        files = [tmp_path / role / f"{path.parent.name}.nii.gz" for role in ("mask", "prediction")]
        save_label(files[0], label, image.affine)
        save_label(files[1], np.roll(label, (2, -1, 1), (0, 1, 2)), image.affine)
        pairs.append({"id": path.parent.name, "mask": str(files[0]), "prediction": str(files[1])})
    classes = {"whole": (1, 2, 3, 4), "core": (1, 3, 4), "enhancing": (4,)}
    names = {"dice": "dice", "hd95": "haus95", "surface_dice": "surf_dice", "average_surface_distance": "avg_surf"}
    request = {
        "pairs": pairs,
        "classes": {
            one: {"labels": list(labels), "metrics": {name: {} for name in names.values()}}
            for one, labels in classes.items()
        },
    }
    (tmp_path / "request.json").write_text(json.dumps(request))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [python, "-c", MIST, str(tmp_path / "request.json"), str(tmp_path / "answer.json")]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    theirs = json.loads((tmp_path / "answer.json").read_text())
    found = find_pairs(None, tmp_path / "mask", tmp_path / "prediction")
    scored = score_files(found, settings_from(Classes(final_classes=classes), list(names)))
    assert len(scored.cases) == len(pairs) == 4
    for case in scored.cases:
        for one in classes:
            for own, their in names.items():
                assert case.scores[f"{one}_{own}"] == pytest.approx(theirs[case.id][f"{one}_{their}"], abs=1e-6)


def test_settings_name_everything_that_is_wrong() -> None:
    with pytest.raises(InputError) as caught:
        settings_from(Classes(final_classes={"a": (1,)}), ["dise", "hd59"])
    assert len(caught.value.problems) == 2
    assert ScoreSettings(final_classes={"a": (1,)}).metrics == ("dice", "hd95")


def test_a_mirrored_prediction_is_reported(tmp_path: Path) -> None:
    label = np.zeros((12, 10, 8), np.uint8)
    label[2:4, 3:6, 2:5], label[8:10, 3:6, 2:5] = 1, 2
    for role, array in (("reference", label), ("prediction", label[::-1])):
        for name in ("a", "b"):
            (tmp_path / role).mkdir(exist_ok=True)
            nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / role / f"{name}.nii.gz")
    pairing = find_pairs(None, tmp_path / "reference", tmp_path / "prediction")
    sided = settings_from(Classes(final_classes={"kidney_l": (1,), "kidney_r": (2,)}), ("dice",))
    (warning,) = score_files(pairing, sided, workers=1).warnings
    assert warning.path == "a, b"
    assert "the prediction shows kidney_l on the patient's right of kidney_r" in warning.message
    plain = settings_from(Classes(final_classes={"one": (1,), "two": (2,)}), ("dice",))
    assert score_files(pairing, plain, workers=1).warnings == ()


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("classes.csv", r"classes\.json.*exists already"),  # a JSON file is written beside the table
        ("reference/001.nii.gz", r"expected a name that ends in \.csv"),
        ("scores.xlsx", r"expected a name that ends in \.csv"),
    ],
)
def test_no_table_takes_the_place_of_what_is_scored(
    capsys: pytest.CaptureFixture[str], folders: Path, output: str, words: str
) -> None:
    before = {path: path.read_bytes() for path in sorted(folders.rglob("*")) if path.is_file()}
    fixed = ["evaluate", "--classes", str(folders / "classes.json"), *_folders(folders)]
    for more in ((), ("--overwrite",)):
        assert cli.main([*fixed, "--output", str(folders / output), *more]) == EXIT_INPUT_REFUSED
        errors = capsys.readouterr().err
        assert re.search(words, errors) or "would replace" in errors
    assert before == {path: path.read_bytes() for path in sorted(folders.rglob("*")) if path.is_file()}
