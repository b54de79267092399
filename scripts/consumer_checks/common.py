"""What the checks share: outcomes, commands, cases, and the comparison with `predict`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

import mist_bundle as mb

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHARED = Path(os.environ.get("MIST_BUNDLE_DATA", ROOT.parent / "shared" / "data"))
DATA = SHARED / "Task04_Hippocampus"
LABEL_CASES = 8


@dataclass(frozen=True)
class Outcome:
    """What was seen of one consumer.

    Attributes:
        consumer: its name and version.
        was_run: what was run.
        result: what was seen, with figures.
        passed: whether all of it is as it should be.
    """

    consumer: str
    was_run: str
    result: str
    passed: bool


def run(python: Path | str, *words: object, folder: Path | None = None, **environment: str) -> None:
    """Run a command; its output goes to the terminal."""
    settings = {**os.environ, **environment}
    subprocess.run([str(python), *(str(word) for word in words)], check=True, cwd=folder, env=settings)


def succeeds(python: Path | str, *words: object) -> bool:
    """Whether a command ends with exit code 0."""
    return subprocess.run([str(python), *(str(word) for word in words)], check=False).returncode == 0


def mist_bundle(*words: object, **environment: str) -> None:
    """Run a command of mist-bundle."""
    run(sys.executable, "-m", "mist_bundle", *words, **environment)


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def some_cases(work: Path) -> tuple[Path, Path]:
    """Folders of images and of labels."""
    images, labels = work / "images", work / "labels"
    for folder in (images, labels):
        folder.mkdir(parents=True)
    for image in sorted(DATA.glob("imagesTr/hippocampus_*.nii.gz"))[:LABEL_CASES]:
        shutil.copyfile(image, images / image.name)
        shutil.copyfile(DATA / "labelsTr" / image.name, labels / image.name)
    return images, labels


def first_image() -> Path:
    """The image that is predicted."""
    return sorted(DATA.glob("imagesTr/hippocampus_*.nii.gz"))[0]


def single_model_prediction(
    bundle: Path, image: Path, work: Path, name: str = "own", precision: str = "auto", *, tta: bool = True
) -> np.ndarray:
    """The label map of `predict` with model.pt alone, which is what a program with its own network shows.

    Without `tta` there is no averaging over flips, which MONAI's own classes do not have.
    """
    table = work / f"{name}.csv"
    channel = mb.Bundle(bundle).plan.channel_names[0]
    table.write_text(f"id,{channel}\nfirst,{image}\n", encoding="utf-8")
    words = ("--input", table, "--output", work / name, "--ensemble", "false")
    if precision != "auto":
        words += ("--precision", precision)
    if not tta:
        words += ("--notta",)
    mist_bundle("predict", bundle, *words)
    return np.asarray(nib.load(work / name / "first.nii.gz").dataobj)


def plain_copy(bundle: Path, work: Path) -> Path:
    """A copy as somebody receives it, without links."""
    mist_bundle("pack", bundle, "--output", work / f"{bundle.name}.zip")
    mist_bundle("unpack", work / f"{bundle.name}.zip", "--output", work / "received")
    return work / "received" / bundle.name


def files_of(folder: Path) -> dict[str, bytes]:
    """The content of every file of a bundle; what Python compiles is not its own."""
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def differing(first: np.ndarray, second: np.ndarray) -> int:
    """Voxels in which two label maps differ; all of them where the shapes do."""
    return int(np.count_nonzero(first != second)) if first.shape == second.shape else first.size
