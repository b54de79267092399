"""The report of a bundle: untrained, trained, incomplete and damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mist_bundle import cli
from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED
from mist_bundle.files import read_json, write_json
from mist_bundle.report import bundle_report, viewer
from mist_bundle.report.bundle_report import ReportRequest, write_report
from mist_bundle.report.volumes_part import predicted_volumes
from mist_bundle.runtime.metrics.table import read_results
from tests.report.conftest import EPOCHS, LIVER, NUM_CASES, Made
from tests.report.pages import Page, check_page


def _page(path: Path) -> Page:
    return check_page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def full(trained: Made, tmp_path_factory: pytest.TempPathFactory) -> Page:
    output = tmp_path_factory.mktemp("page") / "report.html"
    made = write_report(ReportRequest(bundle=trained.bundle, pictures=2, each=1, viewer_cases=0), output)
    assert made.problems == ()
    return _page(output)


def test_before_training_every_missing_part_names_its_command(untrained: Made, tmp_path: Path) -> None:
    write_report(ReportRequest(bundle=untrained.bundle, pictures=1, viewer_cases=0), tmp_path / "report.html")
    page = _page(tmp_path / "report.html")
    name = untrained.bundle.name
    for command in (f"analyze dataset.json --output {name}_work", f"train {name} --fold all", f"evaluate {name}"):
        assert f"mist-bundle {command}" in page.text
    assert "Not trained yet." in page.text
    assert f"{untrained.excluded} t1.nii.gz: is cut short" in page.text
    plan = read_json(untrained.bundle / "configs" / "plan.json")
    for decision in plan["decisions"].values():
        assert " ".join(decision["because"].split()) in page.text
    assert "--recipe quick --folds 2 --seed 42 --epochs 5" in page.text


def test_results_are_those_of_the_table(trained: Made, full: Page) -> None:
    rows = read_results(trained.work_dir / "results.csv")
    values = np.array([row["kidney_dice"] for row in rows])
    low, high = np.percentile(values, (25, 75))
    told = (values.mean(), values.std(), np.median(values), low, high, values.min())
    assert f"kidney {' '.join(f'{value:.3f}' for value in told)} {NUM_CASES}" in full.text
    assert f"Dice, {NUM_CASES} held-out cases" in full.text
    assert f"HD95, mm, {NUM_CASES} held-out cases" in full.text
    assert "lost_case its prediction is <missing>" in full.text
    assert LIVER in full.text
    assert "Not trained yet" not in full.text


def test_training_has_a_row_for_each_fold(full: Page) -> None:
    for fold in range(2):
        assert f"fold {fold} {EPOCHS} of {EPOCHS} {1.5 / (EPOCHS + fold):.3f} 0.410 4 5" in full.text


def test_pictures_show_both_outlines(full: Page) -> None:
    # 2 data cases and 3 result cases in three planes, and one case in two channels
    assert len(full.all("img")) == (2 + 3) * 3 + 2
    kinds = {str(path.get("class")) for path in full.all("path") if path.get("class")}
    assert {"area reference", "prediction", "under prediction"} <= kinds
    alts = [str(image["alt"]) for image in full.all("img")]
    assert sum("reference filled, prediction outlined" in alt for alt in alts) == 9


def test_results_and_the_worst_cases_come_first(trained: Made, untrained: Made, full: Page, tmp_path: Path) -> None:
    order = [str(part["id"]) for part in full.all("section")]
    assert order[:2] == ["results", "cases"]
    assert order.index("training") < order.index("data") < order.index("plan")
    rows = read_results(trained.work_dir / "results.csv")
    dice = {str(row["id"]): np.mean([value for name, value in row.items() if name.endswith("_dice")]) for row in rows}
    worst = min(dice, key=lambda name: dice[name])
    start = full.text.index("The lowest mean Dice first")
    assert full.text.index(worst, start) == min(full.text.index(name, start) for name in dice)
    assert start < full.text.index("What the scores mean")
    bundle = _copy(untrained, tmp_path)
    cli.main(["report", str(bundle), "--dataset_dir", str(untrained.dataset_json.parent / "train"), "--noviewer"])
    parts = _page(bundle.parent / f"{bundle.name}_work" / "report.html").all("section")
    assert parts[0]["id"] == "data", "a bundle without results is looked at for its data"


def test_a_run_without_failures_shows_no_warning(trained: Made, tmp_path: Path) -> None:
    bundle = _copy(trained, tmp_path)
    work = bundle.parent / f"{bundle.name}_work"
    results = read_json(work / "results.json")
    write_json(work / "results.json", {**results, "failed": []})
    cli.main(["report", str(bundle), "--dataset_dir", str(trained.dataset_json.parent / "train"), "--noviewer"])
    page = _page(work / "report.html")
    assert [one for _, one in page.elements if one.get("class") == "problem"] == []
    assert "problem" in str(_page_with_failures(trained, tmp_path / "failed").elements)


def _page_with_failures(trained: Made, folder: Path) -> Page:
    bundle = _copy(trained, folder)
    cli.main(["report", str(bundle), "--dataset_dir", str(trained.dataset_json.parent / "train"), "--noviewer"])
    return _page(bundle.parent / f"{bundle.name}_work" / "report.html")


def test_volumes_are_those_of_the_files(trained: Made, full: Page) -> None:
    import nibabel as nib

    classes = read_json(trained.bundle / "configs" / "plan.json")["final_classes"]
    for case in trained.files:
        assert case.prediction is not None
        image = nib.load(case.prediction)
        count = np.isin(np.asarray(image.dataobj), classes[LIVER]).sum()
        expected = count * abs(np.linalg.det(image.affine[:3, :3])) / 1000
        assert predicted_volumes(case, classes)[1][LIVER] == pytest.approx(expected, rel=1e-6)
    assert "limits of agreement" in full.text


def test_single_folds_are_called_so(trained: Made, tmp_path: Path) -> None:
    bundle = _copy(trained, tmp_path)
    work = bundle.parent / f"{bundle.name}_work"
    for fold in range(2):
        shutil.copy(work / "results.csv", work / f"fold_{fold}" / "results.csv")
        break
    (work / "results.csv").unlink()
    (work / "results.json").unlink()
    shutil.rmtree(work / "fold_1")
    write_report(ReportRequest(bundle=bundle, pictures=1, viewer_cases=0), tmp_path / "report.html")
    text = _page(tmp_path / "report.html").text
    words = "These are the scores of single folds, which have not been gathered yet."
    assert f"{words} Run: mist-bundle finalize {bundle.name}" in text
    assert f"Not trained yet: fold 1. Run: mist-bundle train {bundle.name} --fold 1" in text


def test_a_bundle_alone_still_has_its_plan(trained: Made, tmp_path: Path) -> None:
    bundle = tmp_path / "received" / trained.bundle.name
    shutil.copytree(trained.bundle, bundle)
    made = write_report(ReportRequest(bundle=bundle), tmp_path / "report.html")
    text = _page(tmp_path / "report.html").text
    assert "The data have not been measured here." in text
    assert "Decisions and their reasons" in text
    assert made.viewer is None


def test_damaged_files_are_named(trained: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = _copy(trained, tmp_path)
    work = bundle.parent / f"{bundle.name}_work"
    case = trained.files[0]
    prediction = work / f"fold_{case.fold}" / "predictions" / f"{case.id}.nii.gz"
    prediction.write_bytes(prediction.read_bytes()[:100])
    words = ["report", str(bundle), "--dataset_dir", str(trained.dataset_json.parent / "train"), "--noviewer"]
    assert cli.main(words) == EXIT_SOME_CASES_FAILED
    captured = capsys.readouterr()
    assert f"Report: {work / 'report.html'}" in captured.out
    assert case.id in captured.err
    assert "is cut short" in captured.err
    assert "is cut short" in _page(work / "report.html").text, "the picture says why it is missing"
    assert cli.main(words) == EXIT_INPUT_REFUSED, "the page exists already"
    history = work / "fold_0" / "history.jsonl"
    history.write_text('{"epoch": 1, "loss": 1.0}\n{"epoch"', encoding="utf-8")
    assert cli.main([*words, "--overwrite"]) == EXIT_SOME_CASES_FAILED
    assert "1 lines of history.jsonl could not be read and are left out." in _page(work / "report.html").text


def test_details_of_analyze_are_taken_up(trained: Made, tmp_path: Path) -> None:
    bundle = _copy(trained, tmp_path)
    work = bundle.parent / f"{bundle.name}_work"
    cli.main(["analyze", str(trained.dataset_json), "--output", str(work), "--pictures", "1", "--overwrite"])
    report = bundle_report.bundle_data_report(Bundle(bundle))
    assert report is not None
    assert report["detailed"]
    # those of another selection of cases are not
    write_json(work / "data_report.json", {**report, "num_cases": 99})
    other = bundle_report.bundle_data_report(Bundle(bundle))
    assert other is not None
    assert not other["detailed"]


def test_without_the_library_there_is_a_viewer_without_its_rendering(
    trained: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(viewer, "LIBRARY", "not_there.js")
    output = tmp_path / "report.html"
    assert cli.main(["report", str(trained.bundle), "--output", str(output), "--pictures", "1"]) == EXIT_OK
    assert f"Viewer: {tmp_path / 'report_viewer.html'}" in capsys.readouterr().out
    values = {one.get("value") for one in _page(tmp_path / "report_viewer.html").all("option")}
    assert "axial" in values
    assert "render" not in values


def _copy(made: Made, folder: Path) -> Path:
    shutil.copytree(made.bundle.parent, folder / "out")
    return folder / "out" / made.bundle.name
