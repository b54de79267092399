"""The notebooks run from the first cell to the last."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.dataset.phantom import make_phantom

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


def _cells(notebook: Path) -> list[str]:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_of_somebodys_machine_is_stored(notebook: Path) -> None:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert content["nbformat"] == 4
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in content["cells"])


def _decathlon_task(folder: Path) -> Path:
    """A task as the Decathlon stores it, of synthetic scans."""
    description = {
        "name": "Spleen",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "spleen", "2": "kidney"},
    }
    dataset = make_phantom(folder / "phantom", kind="ct", num_cases=6, num_test=1)
    task = folder / "Task09_Spleen"
    training, test = [], []
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (task / name).mkdir(parents=True)
    for case in sorted((dataset.parent / "train").iterdir()):
        shutil.copy(case / "ct.nii.gz", task / f"imagesTr/{case.name}.nii.gz")
        shutil.copy(case / "mask.nii.gz", task / f"labelsTr/{case.name}.nii.gz")
        training.append({"image": f"./imagesTr/{case.name}.nii.gz", "label": f"./labelsTr/{case.name}.nii.gz"})
    for case in sorted((dataset.parent / "test").iterdir()):
        shutil.copy(case / "ct.nii.gz", task / f"imagesTs/{case.name}.nii.gz")
        test.append(f"./imagesTs/{case.name}.nii.gz")
    description |= {"training": training, "test": test, "tensorImageSize": "3D"}
    (task / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    return task


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::mist_bundle.DataWarning")  # synthetic cases differ from the shipped bundle's
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_all_cells_run(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_FOLDER", str(_decathlon_task(tmp_path / "downloaded")))
    monkeypatch.setenv("SOURCE_BUNDLE", str(ROOT / "bundles/hippocampus_segmentation"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    names: dict[str, Any] = {}
    for number, cell in enumerate(_cells(notebook)):
        exec(compile(cell, f"{notebook.name}, code cell {number}", "exec"), names)
    assert names["label_maps"]
