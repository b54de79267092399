"""A small bundle with everything a report shows: made by the commands, with predictions whose errors are known."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import pytest
from scipy import ndimage

from mist_bundle import pipeline
from mist_bundle.bundle.folder import Bundle
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.files import read_json, write_json
from mist_bundle.planning.options import PlanOptions
from mist_bundle.report.sources import CaseFiles, files_of_bundle
from mist_bundle.runtime.metrics.case import score_case
from mist_bundle.runtime.metrics.table import write_results
from mist_bundle.runtime.numerics.grid import spacing_of

LIVER = "[liver] <script>alert('liver')</script>"  # a name that would break a careless page
NUM_CASES = 7
EPOCHS = 5


@dataclass(frozen=True)
class Made:
    """A dataset, its bundle and the bundle's work folder."""

    dataset_json: Path
    bundle: Path
    work_dir: Path
    files: list[CaseFiles]
    excluded: str


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Seven good cases and a truncated one, configured and no more."""
    return _configure(tmp_path_factory.mktemp("untrained"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The same with histories, predictions and results of both folds."""
    made = _configure(tmp_path_factory.mktemp("trained"))
    plan = read_json(made.bundle / "configs" / "plan.json")
    rows = []
    for index, case in enumerate(made.files):
        assert case.fold is not None
        folder = made.work_dir / f"fold_{case.fold}"
        label = read_volume(case.label)
        # the first is perfect, the others are shifted by more and more voxels
        prediction = ndimage.shift(label.array, (0.0, float(index), 0.0), order=0)
        (folder / "predictions").mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(prediction, label.affine), folder / "predictions" / f"{case.id}.nii.gz")
        scores = score_case(prediction, label.array, spacing_of(label.affine), plan["final_classes"], ("dice", "hd95"))
        rows.append({"id": case.id, **scores})
    write_results(made.work_dir / "results.csv", rows, {"lost_case": "its prediction is <missing>"})
    for fold in range(2):
        _write_history(made.work_dir / f"fold_{fold}", plan["label_names"][1:], fold)
    return replace(made, files=files_of_bundle(Bundle(made.bundle)))


def _configure(folder: Path) -> Made:
    dataset_json = make_phantom(
        folder / "data", num_cases=NUM_CASES + 1, shape=(28, 24, 16), spacing_mm=(1.0, 1.5, 3.0)
    )
    content = read_json(dataset_json)
    content["label_names"]["1"] = LIVER
    content["final_classes"][LIVER] = content["final_classes"].pop("liver")
    content["description"] = "Organs & <b>ellipsoids</b>"
    write_json(dataset_json, content)
    victim = sorted((dataset_json.parent / "train").iterdir())[3]
    image = victim / "t1.nii.gz"
    image.write_bytes(image.read_bytes()[:200])
    options = PlanOptions(recipe="quick", folds=2, epochs=EPOCHS)
    made = pipeline.autoconfig(dataset_json, folder / "out", options)
    return Made(
        dataset_json=dataset_json,
        bundle=made.bundle,
        work_dir=pipeline.work_dir_of(made.bundle),
        files=files_of_bundle(Bundle(made.bundle)),
        excluded=victim.name,
    )


def _write_history(folder: Path, classes: list[str], fold: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []
    for epoch in range(1, EPOCHS + 1):
        record: dict[str, Any] = {
            "epoch": epoch,
            "loss": 1.5 / (epoch + fold),
            "learning_rate": 0.01 / epoch,
            "seconds": 60,
        }
        if epoch % 2 == 0:
            record["dice"] = {name: epoch / 10 + 0.01 * index for index, name in enumerate(classes)}
        records.append(record)
    (folder / "history.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    write_json(folder / "status.json", {"epoch": EPOCHS, "epochs": EPOCHS, "best_score": 0.41, "best_epoch": 4})
