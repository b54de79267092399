"""Datasets are created and described with the functions of the API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mist_bundle as mb
from mist_bundle.api.datasets import PHANTOMS
from mist_bundle.api.kinds import MODALITIES
from mist_bundle.dataset import phantom as phantoms
from mist_bundle.dataset import spec_reader


def test_datasets_are_created_and_described(tmp_path: Path) -> None:
    dataset_json = mb.phantom(str(tmp_path / "data"), kind="ct", cases=2, test_cases=1)
    assert json.loads(dataset_json.read_text())["modality"] == "ct"
    cases = sorted((dataset_json.parent / "train").iterdir())
    rows = ["id,mask,ct"]
    for case in cases:
        image = next(path for path in sorted(case.glob("*.nii.gz")) if "mask" not in path.name)
        rows.append(f"{case.name},{next(case.glob('*mask*'))},{image}")
    table = tmp_path / "cases.csv"
    table.write_text("\n".join(rows))
    with pytest.warns(mb.DataWarning, match="modality"):
        described = mb.convert_csv(table, tmp_path / "described")
    assert json.loads(described.read_text())["modality"] == "ct"


def test_menus_are_those_of_the_datasets() -> None:
    assert MODALITIES == spec_reader.MODALITIES
    assert set(PHANTOMS) == set(phantoms.Kind.__args__)
