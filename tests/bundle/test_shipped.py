"""The trained bundle in bundles/: safe, whole, as the generator would write it now, and of use as documented."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle import cli
from mist_bundle.bundle.manifest import file_hashes
from mist_bundle.dataset.msd_layout import convert_msd
from mist_bundle.errors import EXIT_OK
from mist_bundle.trust.audit.run import audit_bundle
from mist_bundle.verify.run import verify_bundle
from tests.bundle.golden import TRAINED
from tests.bundle.shipped import OPTIONS, renew

pytestmark = pytest.mark.skipif(not TRAINED.is_dir(), reason="no trained bundle has been made yet")


def test_it_passes_audit_and_verification() -> None:
    report = audit_bundle(TRAINED)
    assert report.passed, str(report)
    assert not report.findings, str(report)
    assert verify_bundle(TRAINED, quick=True).passed


def test_it_holds_text_and_weights_and_no_images() -> None:
    kinds = {path.suffix for path in TRAINED.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert kinds <= {"", ".json", ".md", ".txt", ".conf", ".csv", ".py", ".pt", ".safetensors"}
    assert sum(path.stat().st_size for path in TRAINED.rglob("*") if path.is_file()) < 6_000_000


def test_its_figures_are_the_means_of_the_scores_beside_them() -> None:
    with (TRAINED / "docs/results.csv").open(newline="") as stream:
        cases = [row for row in csv.DictReader(stream) if row["id"].startswith("hippocampus")]
    assert len(cases) == 200
    scores = json.loads((TRAINED / "configs/metadata.json").read_text())["eval_metrics"]
    card = (TRAINED / "docs/README.md").read_text()
    assert scores.keys() == cases[0].keys() - {"id"}
    for name, value in scores.items():
        assert value == pytest.approx(np.mean([float(row[name]) for row in cases]), abs=1e-4), name
        shown = card.split(f"| {name} | ")[1].split(" |")[0]
        assert float(shown) == pytest.approx(value, abs=1e-4), name
    assert scores["Anterior_dice"] > 0.7
    assert scores["Posterior_dice"] > 0.7
    assert "CC-BY-SA 4.0" in card


def test_it_is_as_the_generator_would_write_it_now(hippocampus_dir: Path, tmp_path: Path) -> None:
    data = convert_msd(hippocampus_dir, tmp_path / "hippocampus")
    assert cli.main(["autoconfig", str(data), "--output", str(tmp_path), *OPTIONS]) == EXIT_OK
    copy = tmp_path / "copy"
    shutil.copytree(TRAINED, copy, ignore=shutil.ignore_patterns("__pycache__"))
    renew(tmp_path / TRAINED.name, copy)
    now, shipped = file_hashes(copy), file_hashes(TRAINED)
    stale = sorted(name for name in now.keys() | shipped.keys() if now.get(name) != shipped.get(name))
    assert not stale, "if that change was meant, run scripts/train_shipped_bundle --renew: weights and figures stay"


@pytest.mark.slow
def test_predict_and_finetune_as_documented(hippocampus_dir: Path, tmp_path: Path) -> None:
    data = convert_msd(hippocampus_dir, tmp_path / "new", limit=6)
    cases, output = data.parent / "train", tmp_path / "predictions"
    assert cli.main(["predict", str(TRAINED), "--input", str(cases), "--output", str(output)]) == EXIT_OK
    for folder in sorted(cases.iterdir()):
        predicted = np.asarray(nib.load(output / f"{folder.name}.nii.gz").dataobj)
        truth = np.asarray(nib.load(folder / "mask.nii.gz").dataobj)
        for label in (1, 2):
            one, other = predicted == label, truth == label
            assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.6, (folder.name, label)
    words = ["--folds", "2", "--epochs", "1", "--steps_per_epoch", "2"]
    assert cli.main(["finetune", str(TRAINED), str(data), "--output", str(tmp_path / "tuned"), *words]) == EXIT_OK
    tuned = tmp_path / "tuned" / TRAINED.name
    summary = json.loads((tuned / "configs/transfer.json").read_text())["summary"]
    assert summary["loaded"] > 20
    assert summary["adapted"] == summary["skipped"] == summary["unused"] == 0
    assert cli.main(["train", str(tuned), "--fold", "0"]) == EXIT_OK
    assert (tuned / "models/fold_0.pt").is_file()
