"""Scoring, comparing and combining predictions of any origin."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

import mist_bundle as mb


def _label_maps(folder: Path, voxels: int) -> Path:
    """Two cases with a cube of label 1, of which the first slices hold `voxels` labelled voxels each."""
    folder.mkdir()
    for name in ("a", "b"):
        labels = np.zeros((8, 8, 8), dtype=np.uint8)
        labels[2:4, 2:4, 2 : 2 + voxels] = 1
        nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), folder / f"{name}.nii.gz")
    return folder


def test_scoring_and_comparing_files(tmp_path: Path) -> None:
    references = _label_maps(tmp_path / "references", 4)
    half = _label_maps(tmp_path / "half", 2)
    scored = mb.evaluate(references, str(half), {"all": [1]}, metrics=["dice"])
    assert [case.scores["all_dice"] for case in scored.cases] == pytest.approx([2 / 3, 2 / 3])
    scored.write(tmp_path / "half.csv")
    whole = _label_maps(tmp_path / "whole", 4)
    mb.evaluate(references, whole, {"all": [1]}, metrics=["dice"]).write(tmp_path / "whole.csv")
    with pytest.warns(mb.DataWarning, match="folds: were not compared"):
        comparison = mb.compare(tmp_path / "half.csv", str(tmp_path / "whole.csv"), resamples=10)
    assert [difference.other for difference in comparison.differences] == [1.0]
    with pytest.warns(mb.DataWarning, match="folds: were not compared"):
        ranking = mb.rank(tmp_path / "half.csv", tmp_path / "whole.csv", resamples=10)
    assert [(run.name, run.mean_rank) for run in ranking.standings] == [("whole", 1.0), ("half", 2.0)]


def test_a_wrong_metric_or_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(mb.InputError, match="--metric: is not an option"):
        mb.evaluate(tmp_path, tmp_path, {"all": [1]}, metric=["dice"])
    with pytest.raises(mb.InputError, match="dise"):
        mb.evaluate(tmp_path, tmp_path, {"all": [1]}, metrics=["dise"])


def test_post_processing_with_references(tmp_path: Path) -> None:
    references = _label_maps(tmp_path / "references", 4)
    predictions = _label_maps(tmp_path / "predictions", 2)
    strategy = tmp_path / "strategy.json"
    step = {"transform": "remove_small_objects", "apply_to_labels": [1], "kwargs": {"min_size": 20}}
    strategy.write_text(json.dumps([step]))
    processed = mb.postprocess(
        predictions, strategy, tmp_path / "out", reference=references, classes={"all": [1]}, metrics=["dice"]
    )
    assert processed.num_written == 2
    assert processed.change is not None


def test_predictions_are_combined(tmp_path: Path) -> None:
    folders = [_label_maps(tmp_path / name, voxels) for name, voxels in (("one", 2), ("two", 4), ("three", 4))]
    combined = mb.ensemble(*folders, output=str(tmp_path / "out"))
    assert combined.num_written == 2
    labels = np.asarray(nibabel.load(tmp_path / "out" / "a.nii.gz").dataobj)
    assert labels.sum() == 16
    with pytest.raises(mb.InputError, match="--labels, --bundle"):
        mb.ensemble(*folders, output=tmp_path / "mean", method="mean", labels=[0, 1], bundle=tmp_path)
