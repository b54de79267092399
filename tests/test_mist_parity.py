"""Numbers against mist-medical 2.3.0 itself, where the paper and its code agree. Optional: needs it installed.

    python -m venv mist && mist/bin/pip install torch==2.13.0 mist-medical==2.3.0
    MIST_PYTHON=mist/bin/python python -m pytest tests/test_mist_parity.py -m slow

What differs on purpose is tested here as a difference, with the reason.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mist_bundle import pipeline
from mist_bundle.dataset.msd_layout import convert_msd
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.files import read_json
from mist_bundle.planning.options import PlanOptions

pytestmark = pytest.mark.slow

OPTIONS = PlanOptions(recipe="quick", folds=2, epochs=1, steps_per_epoch=1)


@pytest.fixture(scope="session")
def mist_bin() -> Path:
    """The folder of MIST's commands."""
    python = os.environ.get("MIST_PYTHON")
    if not python:
        pytest.skip("MIST_PYTHON does not name an interpreter with mist-medical 2.3.0")
    return Path(python).parent


def _run_mist(mist_bin: Path, dataset_json: Path, folder: Path) -> dict[str, Any]:
    """MIST's analysis and preprocessing; its config.json."""
    for command in (
        ["mist_analyze", "--data", dataset_json, "--results", folder / "results", "--nfolds", "2"],
        ["mist_preprocess", "--results", folder / "results", "--numpy", folder / "numpy"],
    ):
        words = [str(mist_bin / str(command[0])), *map(str, command[1:])]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    content: dict[str, Any] = json.loads((folder / "results/config.json").read_text())
    return content


def _run_own(dataset_json: Path, folder: Path, **options: Any) -> tuple[dict[str, Any], dict[str, Path]]:
    """The plan's decisions, and the folder of prepared arrays of each case."""
    bundle = pipeline.autoconfig(dataset_json, folder, replace(OPTIONS, **options)).bundle
    pipeline.preprocess(bundle, {})
    decisions = {name: one["value"] for name, one in read_json(bundle / "configs/plan.json")["decisions"].items()}
    entries: dict[str, Path] = {}
    for entry in (pipeline.work_dir_of(bundle) / "cache").iterdir():
        described = read_json(entry / "entry.json")
        entries[str(described["id"])] = entry
    return decisions, entries


def _arrays(entry: Path, mist: Path, case: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Own image and label, MIST's image and label, all (C, X, Y, Z)."""
    theirs = [np.moveaxis(np.load(mist / kind / f"{case}.npy"), -1, 0) for kind in ("images", "labels")]
    return np.load(entry / "image.npy"), np.load(entry / "label.npy"), theirs[0], theirs[1]


def test_hippocampus_analysis_and_arrays(mist_bin: Path, hippocampus_dir: Path, tmp_path: Path) -> None:
    data = convert_msd(hippocampus_dir, tmp_path / "data", limit=8)
    theirs = _run_mist(mist_bin, data, tmp_path)
    decisions, entries = _run_own(data, tmp_path / "own")
    assert decisions["target_spacing_mm"] == pytest.approx(theirs["spatial_config"]["target_spacing"])
    assert decisions["crop_to_foreground"] == theirs["preprocessing"]["crop_to_foreground"]
    assert decisions["median_resampled_shape"] == theirs["preprocessing"]["median_resampled_image_size"]
    assert len(entries) == 8
    for case, entry in entries.items():
        image, label, their_image, their_label = _arrays(entry, tmp_path / "numpy", case)
        np.testing.assert_array_equal(label, their_label)
        # the paper takes mean and deviation after windowing, 2.3.0 before: the same image up to a linear map
        slope, offset = np.polyfit(their_image.ravel().astype(float), image.ravel().astype(float), 1)
        np.testing.assert_allclose(image, slope * their_image + offset, atol=2e-4)
        assert image.mean() == pytest.approx(0, abs=1e-4)
        assert image.std() == pytest.approx(1, abs=1e-3)


def test_crop_boxes_of_real_mr_agree(mist_bin: Path, brats_dir: Path, tmp_path: Path) -> None:
    description = {
        "task": "brats",
        "modality": "mr",
        "train-data": "train",
        "mask": ["seg.nii.gz"],
        "images": {"flair": ["flair.nii.gz"], "t1c": ["t1c.nii.gz"]},
        "labels": [0, 1, 2, 3, 4],
        "final_classes": {"WT": [1, 2, 3, 4]},
    }
    licence_free = tmp_path / "train"
    licence_free.mkdir()
    for folder in brats_dir.iterdir():
        if folder.is_dir():  # MIST takes every file in the folder for a patient
            (licence_free / folder.name).symlink_to(folder)
    data = tmp_path / "dataset.json"
    data.write_text(json.dumps(description))
    theirs = _run_mist(mist_bin, data, tmp_path)
    decisions, entries = _run_own(data, tmp_path / "own", recipe="mist2")
    assert decisions["crop_to_foreground"] is theirs["preprocessing"]["crop_to_foreground"] is True
    with (tmp_path / "results/fg_bboxes.csv").open() as stream:
        boxes = {row["id"]: row for row in csv.DictReader(stream)}
    for case, entry in entries.items():
        image, label, their_image, their_label = _arrays(entry, tmp_path / "numpy", case)
        expected = tuple(int(boxes[case][f"{axis}_end"]) - int(boxes[case][f"{axis}_start"]) + 1 for axis in "xyz")
        assert image.shape[1:] == their_image.shape[1:] == expected
        np.testing.assert_array_equal(label, their_label)


def test_ct_statistics_agree_within_their_sampling(mist_bin: Path, tmp_path: Path) -> None:
    data = make_phantom(
        tmp_path / "data", kind="ct", num_cases=4, num_test=0, shape=(40, 40, 24), seed=5, mixed_headers=False
    )
    theirs = _run_mist(mist_bin, data, tmp_path)["preprocessing"]["ct_normalization"]
    decisions, _ = _run_own(data, tmp_path / "own")
    (own,) = decisions["intensity_windows"]
    # 2.3.0 looks at every tenth labelled voxel through bins of 1 HU; here every voxel counts and nothing is binned
    assert own["low"] == pytest.approx(theirs["window_min"], abs=8)
    assert own["high"] == pytest.approx(theirs["window_max"], abs=8)
    assert own["mean"] == pytest.approx(theirs["z_score_mean"], abs=2)
    assert own["std"] == pytest.approx(theirs["z_score_std"], abs=2)
