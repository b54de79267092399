"""The bundle in a fresh environment that has the packages which its metadata list, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from mist_bundle.sharing.pack import pack_bundle

PREDICT = ("-m", "monai.bundle", "run", "inference", "--config_file", "configs/inference.json", "--device", "cpu")


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**environment, "OMP_NUM_THREADS": "1"}


def _run(python: Path | str, *words: str, cwd: Path) -> str:
    done = subprocess.run(
        [str(python), *words], cwd=cwd, env=_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def _install_what_the_metadata_list(bundle: Path, folder: Path) -> Path:
    metadata = json.loads((bundle / "configs/metadata.json").read_text())
    wanted = {
        "torch": metadata["pytorch_version"],
        "monai": metadata["monai_version"],
        "numpy": metadata["numpy_version"],
        **metadata["required_packages_version"],
    }
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    names = [f"{package}=={version}" for package, version in wanted.items()]
    # torch alone and first: a CPU-only wheel of that version then satisfies whatever asks for torch
    for packages in (names[:1], names):
        _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages, cwd=folder.parent)
    return python


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_predicts_the_same_bytes_with_nothing_but_the_packages_it_lists(
    trained_bundle: Path, phantom_json: Path, tmp_path: Path
) -> None:
    packed = pack_bundle(trained_bundle, tmp_path / "bundle.zip")
    elsewhere = tmp_path / "another" / "machine"
    with zipfile.ZipFile(packed.file) as archive:  # any program may unpack it
        archive.extractall(elsewhere)
    (moved,) = elsewhere.iterdir()
    python = _install_what_the_metadata_list(moved, tmp_path / "environment")
    _run(python, "-c", "import importlib.util; assert importlib.util.find_spec('mist_bundle') is None", cwd=moved)
    data = ("--dataset_dir", str(phantom_json.parent / "train"))
    _run(python, *PREDICT, *data, "--output_dir", str(tmp_path / "there"), cwd=moved)
    _run(sys.executable, *PREDICT, *data, "--output_dir", str(tmp_path / "here"), cwd=trained_bundle)
    here = {path.name: path.read_bytes() for path in (tmp_path / "here").glob("*.nii.gz")}
    there = {path.name: path.read_bytes() for path in (tmp_path / "there").glob("*.nii.gz")}
    assert len(here) == 2
    assert there == here
    # and it trains there
    few = ("--epochs", "1", "--steps_per_epoch", "1", "--work_dir", str(tmp_path / "work"))
    log = _run(
        *(python, "-m", "monai.bundle", "run", "training", "--config_file", "configs/train.json", *data, *few),
        cwd=moved,
    )
    assert "epoch 1/1" in log
