"""The recipe of a container: its linter has nothing to say, and its command predicts as mist-bundle does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import mist_bundle as mb
from mist_bundle import cli
from mist_bundle.bundle.manifest import differences
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, InputError
from mist_bundle.sharing.container import DOCKERFILE, IN_IMAGE, REQUIREMENTS, export_container


@pytest.fixture(scope="module")
def recipe(trained_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("container") / "image"
    assert cli.main(["export", str(trained_bundle), "--format", "container", "--output", str(folder)]) == EXIT_OK
    return folder


def _instruction(recipe: Path, name: str) -> str:
    text = re.sub(r"\\\n\s*", "", (recipe / DOCKERFILE).read_text())
    (found,) = re.findall(rf"^{name} (.*)$", text, re.MULTILINE)
    return str(found)


def test_hadolint_has_nothing_to_say(recipe: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    program = str(hadolint) if hadolint.is_file() else shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([program, str(recipe / DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    worse = (recipe / DOCKERFILE).read_text().replace(":3.11.9-slim-bookworm", ":latest")
    done = subprocess.run([program, "-"], input=worse, capture_output=True, text=True, check=False)
    assert "DL3007" in done.stdout, "the linter would see a base image without a version"


def test_it_holds_the_whole_bundle_and_runs_without_rights(recipe: Path, trained_bundle: Path) -> None:
    copied = recipe / trained_bundle.name
    assert not (copied / "scripts").is_symlink()
    assert differences(copied) == []
    assert _instruction(recipe, "USER") == "10001"
    assert _instruction(recipe, "FROM").count(":") == 1


def test_packages_are_those_that_the_bundle_pins(recipe: Path, trained_bundle: Path) -> None:
    metadata = json.loads((trained_bundle / "configs/metadata.json").read_text())
    expected = {f"{name}=={version}" for name, version in metadata["required_packages_version"].items()}
    expected |= {f"monai=={metadata['monai_version']}", f"torch=={metadata['pytorch_version']}"}
    expected.add(f"numpy=={metadata['numpy_version']}")
    assert set((recipe / REQUIREMENTS).read_text().split()) == expected


def test_its_command_predicts_as_mist_bundle_does(recipe: Path, phantom_json: Path, tmp_path: Path) -> None:
    """The command of the image, with the places of the image and of its volumes replaced by those of here."""
    places = {IN_IMAGE: str(recipe), "work": str(tmp_path / "work"), "/output": str(tmp_path / "output")}
    places["/input"] = str(phantom_json.parent / "test")
    command = []
    for word in (*json.loads(_instruction(recipe, "ENTRYPOINT")), *json.loads(_instruction(recipe, "CMD"))):
        for place, here in places.items():
            if word == place or word.startswith(f"{place}/"):
                word = here + word[len(place) :]
                break
        command.append(word)
    assert command[0] == "python"
    command[0] = sys.executable
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        command, cwd=tmp_path / "elsewhere", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    bundle = next(recipe.glob("*_segmentation"))
    assert differences(bundle) == [], "the bundle is unchanged"
    mb.Bundle(bundle).predict(phantom_json.parent / "test", output=tmp_path / "own")
    written = sorted(path.name for path in (tmp_path / "output").rglob("*.nii.gz"))
    own = sorted(path.name for path in (tmp_path / "own").glob("*.nii.gz"))
    assert written == own
    assert len(own) == 2
    for name in own:
        (theirs,) = (tmp_path / "output").rglob(name)
        assert np.array_equal(nib.load(theirs).dataobj, nib.load(tmp_path / "own" / name).dataobj)


def test_what_cannot_be_made_is_refused(own_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="Train the bundle first"):
        export_container(own_bundle, tmp_path / "image")
    words = ["export", str(own_bundle), "--format", "container,onnx"]
    assert cli.main(words) == EXIT_INPUT_REFUSED
    said = capsys.readouterr().err
    assert "--format: container makes a folder of its own" in said
    assert "--output: is missing" in said
    assert not (tmp_path / "image").exists()
