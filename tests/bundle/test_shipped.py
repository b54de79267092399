"""The trained bundle in bundles/: safe, whole, as the generator would write it now, and of use as documented."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle import cli
from mist_bundle.bundle.manifest import file_hashes
from mist_bundle.bundle.vendor import RUNTIME, RUNTIME_LINK, runtime_files
from mist_bundle.dataset.msd_layout import convert_msd
from mist_bundle.errors import EXIT_OK
from mist_bundle.sharing.pack import pack_bundle
from mist_bundle.sharing.unpack import unpack_bundle
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


def test_it_holds_text_and_weights_each_once_and_no_images() -> None:
    files = [path for path in TRAINED.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {"", ".json", ".md", ".txt", ".conf", ".csv", ".pt", ".safetensors"}
    assert sum(path.stat().st_size for path in files) < 4_000_000
    assert len({path.read_bytes() for path in files}) == len(files)
    assert (TRAINED / "scripts").readlink().as_posix() == RUNTIME_LINK


def test_packed_it_is_complete_and_plain(tmp_path: Path) -> None:
    packed = pack_bundle(TRAINED, tmp_path / "hippocampus.zip")
    with zipfile.ZipFile(packed.file) as archive:
        members = {info.filename.removeprefix(f"{TRAINED.name}/"): info for info in archive.infolist()}
        contents = {name: archive.read(info) for name, info in members.items()}
    assert all(stat.S_ISREG(info.external_attr >> 16) for info in members.values())
    scripts = {f"scripts/{file.as_posix()}": (RUNTIME / file).read_bytes() for file in runtime_files()}
    stored = {
        path.relative_to(TRAINED).as_posix(): path.read_bytes()
        for path in TRAINED.rglob("*")
        if path.is_file() and path.name != "MANIFEST.json"
    }
    manifest = json.loads(contents.pop("MANIFEST.json"))
    assert contents == {**stored, **scripts, "models/fold_0.pt": stored["models/model.pt"]}
    assert manifest.keys() == {"algorithm", "files"}
    assert manifest["files"] == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    unpacked = unpack_bundle(packed.file, tmp_path / "received")
    assert not any(path.is_symlink() for path in unpacked.rglob("*"))
    assert not audit_bundle(unpacked).findings


def _clone(target: Path) -> Path:
    """What git would check out: the package and the bundle beside it; returns the bundle."""
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(RUNTIME.parent, target / "mist_bundle", ignore=no_caches)
    shutil.copytree(TRAINED, target / "bundles" / TRAINED.name, symlinks=True)
    return target / "bundles" / TRAINED.name


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_it_predicts_straight_from_a_clone_and_leaves_it_as_it_was(hippocampus_dir: Path, tmp_path: Path) -> None:
    bundle = _clone(tmp_path / "clone")
    case = tmp_path / "cases/one"
    case.mkdir(parents=True)
    shutil.copyfile(next(iter(sorted((hippocampus_dir / "imagesTr").glob("*.nii.gz")))), case / "mri.nii.gz")
    table = tmp_path / "cases.csv"
    table.write_text(f"id,mri\none,{case / 'mri.nii.gz'}\n")
    before = _files(tmp_path / "clone")
    # python itself keeps compiled files beside the modules of mist_bundle; what is told here is what the bundle leaves
    outputs = {}
    settings = {**os.environ, "PYTHONPATH": str(tmp_path / "clone"), "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
    words = ["-m", "mist_bundle", "predict", str(bundle), "--input", str(table), "--output", str(tmp_path / "a")]
    subprocess.run([sys.executable, *words], cwd=tmp_path / "clone", env=settings, check=True)
    outputs["mist_bundle"] = (tmp_path / "a/one.nii.gz").read_bytes()
    datalist = tmp_path / "datalist.json"
    datalist.write_text(json.dumps({"testing": [{"id": "one", "image": ["mri.nii.gz"]}]}))
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = ["-m", "monai.bundle", "run", "inference", "--config_file", str(bundle / "configs/inference.json")]
    words += ["--dataset_dir", str(case), "--datalist", str(datalist), "--output_dir", str(tmp_path / "b")]
    subprocess.run([sys.executable, *words], cwd=tmp_path, env=settings, check=True)
    outputs["monai"] = (tmp_path / "b/one.nii.gz").read_bytes()
    assert outputs["mist_bundle"] == outputs["monai"]
    assert _files(tmp_path / "clone") == before
    # the ensemble of the clone is that of the complete bundle
    received = unpack_bundle(pack_bundle(bundle, tmp_path / "x.zip").file, tmp_path / "received")
    words[words.index("--config_file") + 1] = str(received / "configs/inference.json")
    words[words.index("--output_dir") + 1] = str(tmp_path / "c")
    subprocess.run([sys.executable, *words], cwd=tmp_path, env=settings, check=True)
    assert (tmp_path / "c/one.nii.gz").read_bytes() == outputs["monai"]


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
    copy = _clone(tmp_path / "clone")
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
