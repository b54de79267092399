"""The bundle's own scores and its post-processing: the same as what files are scored and treated with."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle import cli, pipeline
from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK
from mist_bundle.files import read_json, work_dir_of
from mist_bundle.pipeline.results import held_out_cases
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.metrics.case import METRICS
from mist_bundle.runtime.metrics.table import read_results
from mist_bundle.runtime.postprocessing.strategy import apply_strategy, parse_strategy
from mist_bundle.trust.intact import check_manifest


@pytest.fixture
def evaluated(trained_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the trained bundle and of its work folder."""
    target = tmp_path / trained_bundle.name
    shutil.copytree(trained_bundle, target)
    shutil.copytree(work_dir_of(trained_bundle), work_dir_of(target), ignore=shutil.ignore_patterns("cache"))
    return target


def _data(phantom_json: Path) -> Path:
    return phantom_json.parent / "train"


def _array(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_bundle_scores_as_files_are_scored(
    capsys: pytest.CaptureFixture[str], evaluated: Path, phantom_json: Path, tmp_path: Path
) -> None:
    names = list(METRICS)
    options = {"surface_dice": {"tolerance_mm": 2.5}}
    settings = {"metrics": names, "metric_options": options, "dataset_dir": str(_data(phantom_json))}
    pipeline.evaluate_folds(evaluated, [0], {**settings, "empty_distance_mm": 50.0})
    fold = work_dir_of(evaluated) / "fold_0"
    cases = [case for case in held_out_cases(Bundle(evaluated), _data(phantom_json)) if case.fold == 0]
    assert len(cases) == 3
    rows = [f"{one.pair.id},{one.pair.reference},{one.pair.prediction}" for one in cases]
    (tmp_path / "pairs.csv").write_text("\n".join(["id,mask,prediction", *rows]) + "\n")
    output = tmp_path / "results.csv"
    words = ["--paths", str(tmp_path / "pairs.csv"), "--classes", str(phantom_json), "--output", str(output)]
    words += ["--metrics", ",".join(names), "--metric_options", json.dumps(options), "--empty_distance_mm", "50"]
    capsys.readouterr()
    assert cli.main(["evaluate", *words]) == EXIT_OK
    assert output.read_bytes() == (fold / "results.csv").read_bytes()
    scored = read_json(fold / "results.json")
    assert scored.pop("derived_from")["weights"] == sha256_of(evaluated / "models/fold_0.pt")
    assert read_json(output.with_suffix(".json")) == scored
    values = [value for row in read_results(output) for name, value in row.items() if name != "id"]
    assert len(values) == 3 * len(names) * len(read_json(evaluated / "configs/plan.json")["final_classes"])
    assert len(set(values)) > len(names), "not every case is a special one"


def _with_islands(case_file: Path, reference: Path, values: list[int]) -> None:
    """A prediction that is the reference and, in a corner, a small part of each label."""
    image = nib.load(reference)
    label = np.asarray(image.dataobj).copy()
    for index, value in enumerate(values):
        start = 3 * index
        label[start : start + 2, :2, :2] = value
    nib.save(nib.Nifti1Image(label, image.affine, image.header), case_file)


def test_choice_is_written_into_the_bundle_and_applied_by_inference(
    capsys: pytest.CaptureFixture[str], evaluated: Path, phantom_json: Path, tmp_path: Path
) -> None:
    work, data = work_dir_of(evaluated), _data(phantom_json)
    values = [label for label in read_json(evaluated / "configs/plan.json")["labels"] if label]
    cases = held_out_cases(Bundle(evaluated), data)
    assert {one.fold for one in cases} == {0, 1}
    for one in cases:
        _with_islands(one.pair.prediction, one.pair.reference, values)
    assert cli.main(["choose_postprocessing", str(evaluated), "--dataset_dir", str(data)]) == EXIT_OK
    printed = capsys.readouterr().out
    assert "Chosen: " in printed
    chosen = read_json(evaluated / "configs/postprocessing.json")
    steps = parse_strategy(chosen["strategy"])
    assert {label for step in steps for label in step.labels} == set(values)
    for one in cases:
        raw, reference = _array(one.pair.prediction), _array(one.pair.reference)
        spacing_mm = np.linalg.norm(nib.load(one.pair.reference).affine[:3, :3], axis=0).tolist()
        np.testing.assert_array_equal(apply_strategy(raw, spacing_mm, steps), reference)
    change = read_json(work / "postprocessing/change.json")
    assert change["change"] == pytest.approx(chosen["gain"], abs=1e-6)
    assert {row["id"] for row in read_results(work / "postprocessing/results.csv")} == {one.pair.id for one in cases}
    assert len(read_json(work / "postprocessing/choice.json")["candidates"]) > len(steps)
    check_manifest(evaluated)

    test_folder = phantom_json.parent / "test"
    outputs = {True: tmp_path / "treated", False: tmp_path / "raw"}
    for postprocess, output in outputs.items():
        settings = {"postprocess": postprocess, "ensemble": False}
        written, _ = pipeline.predict(
            evaluated, test_folder, output, tta=False, probabilities=not postprocess, overrides=settings
        )
        assert len(written) == 2
    changed = 0
    for path in sorted(outputs[False].glob("*.nii.gz")):
        spacing_mm = np.linalg.norm(nib.load(path).affine[:3, :3], axis=0).tolist()
        raw, treated = _array(path), _array(outputs[True] / path.name)
        np.testing.assert_array_equal(treated, apply_strategy(raw, spacing_mm, steps))
        changed += int((treated != raw).sum())
    assert changed, "a network after four steps leaves something to remove"

    # the mean of the probabilities of two models that agree is what each of them predicted
    shutil.copytree(outputs[False] / "probabilities", tmp_path / "again")
    folders = [str(outputs[False] / "probabilities"), str(tmp_path / "again")]
    words = ["--method", "mean", "--bundle", str(evaluated), "--output", str(tmp_path / "mean")]
    assert cli.main(["ensemble", *folders, *words]) == EXIT_OK
    for path in sorted(outputs[False].glob("*.nii.gz")):
        np.testing.assert_array_equal(_array(tmp_path / "mean" / path.name), _array(path))
        np.testing.assert_array_equal(nib.load(tmp_path / "mean" / path.name).affine, nib.load(path).affine)


def test_choice_needs_the_predictions_of_every_fold(
    capsys: pytest.CaptureFixture[str], evaluated: Path, phantom_json: Path
) -> None:
    before = (evaluated / "configs/postprocessing.json").read_bytes()
    cases = held_out_cases(Bundle(evaluated), _data(phantom_json))
    cases[0].pair.prediction.unlink()
    words = ["choose_postprocessing", str(evaluated), "--dataset_dir", str(_data(phantom_json))]
    assert cli.main(words) == EXIT_INPUT_REFUSED
    assert f"{cases[0].pair.id}: has no prediction at" in capsys.readouterr().err
    assert (evaluated / "configs/postprocessing.json").read_bytes() == before
    assert cli.main([*words[:2], "--dataset_dir", str(evaluated)]) == EXIT_INPUT_REFUSED
    assert "Name the folder with --dataset_dir" in capsys.readouterr().err


def test_results_of_all_folds_are_those_of_each(evaluated: Path) -> None:
    work = work_dir_of(evaluated)
    rows = {row["id"]: row for row in read_results(work / "results.csv")}
    single = [row for fold in (0, 1) for row in read_results(work / f"fold_{fold}" / "results.csv")]
    assert {row["id"]: row for row in single} == rows
    with (work / "results.csv").open(newline="") as stream:
        names = [row["id"] for row in csv.DictReader(stream)]
    assert names == [*sorted(rows), "Mean", "Std", "Median", "25th Percentile", "75th Percentile"]
