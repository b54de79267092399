"""Predicted label maps are scored on their own grids; cases that cannot be scored are named, and the run fails."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor

from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.handlers.score import ScoreCases

CLASSES = {"a": [1], "both": [1, 2]}
AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])


def label_map(shift: int = 0) -> np.ndarray:
    array = np.zeros((9, 8, 7), np.uint8)
    array[2 + shift : 6 + shift, 2:6, 2:5] = 1
    array[2:6, 2:6, 5:6] = 2
    return array


def write(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> str:
    nib.save(nib.Nifti1Image(array, affine), path)
    return str(path)


def evaluate(scores: ScoreCases, references: dict[str, str], predictions: dict[str, np.ndarray]) -> Engine:
    """Run an evaluator whose output are the predictions, on a grid of 2 x 3 x 4 mm."""

    def predict(engine: Engine, case: str) -> list[dict[str, Any]]:
        engine.state.batch = [{"id": case, "label": references[case]}]
        return [{"pred": MetaTensor(torch.from_numpy(predictions[case][None]), affine=torch.from_numpy(AFFINE))}]

    engine = Engine(predict)
    scores.attach(engine)
    engine.run(list(predictions))
    return engine


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def test_cases_are_scored_against_their_files(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"weights")
    references = {"1": write(tmp_path / "1.nii.gz", label_map()), "2": write(tmp_path / "2.nii.gz", label_map())}
    scores = ScoreCases(
        str(tmp_path / "results.csv"), CLASSES, ["dice", "hausdorff"], scored_weights=str(tmp_path / "weights.pt")
    )
    engine = evaluate(scores, references, {"1": label_map(), "2": label_map(shift=1)})
    table = rows(tmp_path / "results.csv")
    assert float(table["1"]["a_dice"]) == 1.0
    assert float(table["2"]["a_dice"]) == pytest.approx(0.75)  # 3 of 4 voxels along X
    assert float(table["2"]["a_hausdorff"]) == pytest.approx(2.0)  # a voxel along X
    assert engine.state.metrics["a_dice"] == pytest.approx(0.875)
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["derived_from"]["weights"] == sha256_of(tmp_path / "weights.pt")
    assert content["derived_from"]["metrics"] == ["dice", "hausdorff"]


def test_a_reference_stored_in_another_order_is_turned(tmp_path: Path) -> None:
    flipped = AFFINE.copy()
    flipped[0] = [-2.0, 0.0, 0.0, 2.0 * 8]
    references = {"1": write(tmp_path / "1.nii.gz", label_map()[::-1], flipped)}
    scores = ScoreCases(str(tmp_path / "results.csv"), CLASSES, ["dice"])
    evaluate(scores, references, {"1": label_map()})
    assert float(rows(tmp_path / "results.csv")["1"]["both_dice"]) == 1.0


def test_cases_that_cannot_be_scored_are_named(tmp_path: Path) -> None:
    references = {
        "1": write(tmp_path / "1.nii.gz", label_map()),
        "2": str(tmp_path / "gone.nii.gz"),
        "3": write(tmp_path / "3.nii.gz", label_map()[:5]),
    }
    scores = ScoreCases(str(tmp_path / "results.csv"), CLASSES, ["dice"])
    with pytest.raises(ValueError, match=r"2 of 3 cases could not be scored:\n2: .*gone(?s:.*)\n3: .*shape"):
        evaluate(scores, references, dict.fromkeys(references, label_map()))
    assert "1" in rows(tmp_path / "results.csv")
    content = json.loads((tmp_path / "results.json").read_text())
    assert [failure["id"] for failure in content["failed"]] == ["2", "3"]


def test_failures_are_handed_to_the_collection_of_cases(tmp_path: Path) -> None:
    failures: dict[str, str] = {"0": "not predicted"}
    cases: Any = SimpleNamespace(failures=failures, fail=failures.__setitem__)
    references = {"1": str(tmp_path / "gone.nii.gz")}
    scores = ScoreCases(str(tmp_path / "results.csv"), CLASSES, ["dice"], cases=cases)
    evaluate(scores, references, {"1": label_map()})
    assert sorted(failures) == ["0", "1"]
    content = json.loads((tmp_path / "results.json").read_text())
    assert [failure["id"] for failure in content["failed"]] == ["0", "1"]


def test_weights_that_were_replaced_meanwhile_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"weights")
    scores = ScoreCases(str(tmp_path / "results.csv"), CLASSES, ["dice"], scored_weights=str(weights))
    references = {"1": write(tmp_path / "1.nii.gz", label_map())}
    evaluate(scores, references, {"1": label_map()})
    weights.write_bytes(b"other")
    with pytest.raises(ValueError, match=r"weights\.pt was replaced while it was evaluated"):
        scores._write([], {})


def test_all_unknown_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"'dize' is not a metric(?s:.*)one_empty is 'zero'"):
        ScoreCases("results.csv", CLASSES, ["dize"], one_empty="zero")
