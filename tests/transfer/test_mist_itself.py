"""Imported models beside mist-medical itself, where $CONSUMER_ENVIRONMENTS/mist is an environment with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest

from mist_bundle import Bundle, pipeline
from tests.transfer.peers import peer_python

CASES, TESTS = 8, 3


@pytest.fixture(scope="module")
def trained(hippocampus_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what mist-medical trained and predicted."""
    python = peer_python("mist", "mist-medical")
    folder = tmp_path_factory.mktemp("mist")
    images = sorted((hippocampus_dir / "imagesTr").glob("hippocampus_*.nii.gz"))
    rows = ["id,t1"]
    for number, image in enumerate(images[: CASES + TESTS]):
        name = image.name.removesuffix(".nii.gz")
        case = folder / ("train" if number < CASES else "test") / name
        case.mkdir(parents=True)
        shutil.copy(image, case / "t1.nii.gz")
        if number < CASES:
            shutil.copy(hippocampus_dir / "labelsTr" / image.name, case / "mask.nii.gz")
        else:
            rows.append(f"{name},{case / 't1.nii.gz'}")
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")
    description = {
        "task": "hippocampus",
        "modality": "mr",
        "train-data": str(folder / "train"),
        "mask": ["mask.nii.gz"],
        "images": {"t1": ["t1.nii.gz"]},
        "labels": [0, 1, 2],
        "final_classes": {"anterior": [1], "posterior": [2]},
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    script = Path(__file__).with_name("mist_itself.py")
    command = [python, script, folder / "dataset.json", folder / "cases.csv", folder / "work"]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["plain", "flips"])
def test_label_maps_are_those_of_mist(trained: Path, tmp_path: Path, name: str) -> None:
    pipeline.import_mist(trained / "work/results", tmp_path / "model")
    bundle = Bundle(tmp_path / "model")
    bundle.predict(trained / "cases.csv", tmp_path / "predictions", device="cpu", tta=name == "flips")
    foreground, equal = 0, 0
    for path in sorted((trained / "work" / name).glob("*.nii.gz")):
        theirs = np.asanyarray(nibabel.load(path).dataobj)
        own = np.asanyarray(nibabel.load(tmp_path / "predictions" / path.name).dataobj)
        either = (theirs > 0) | (own > 0)
        foreground += int(either.sum())
        equal += int((theirs == own)[either].sum())
    assert foreground > 1000
    assert equal >= 0.999 * foreground, f"{equal} of {foreground} foreground voxels are equal"
