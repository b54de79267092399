"""Small datasets to merge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.volumes import read_volume
from tests.dataset.samples import save_volume

SHAPE = (6, 5, 4)


def dataset(folder: Path, cases: dict[str, list[int]], **entries: Any) -> Path:
    """A dataset whose cases hold a slice of each of their labels."""
    for name, labels in cases.items():
        mask = np.zeros(SHAPE, np.uint8)
        for position, label in enumerate(labels, start=1):
            mask[position] = label
        save_volume(folder / "train" / name / "mask.nii.gz", mask)
        save_volume(folder / "train" / name / "ct.nii.gz", np.random.default_rng(0).normal(0, 100, SHAPE))
    content = {
        "task": folder.name,
        "modality": "ct",
        "train-data": "train",
        "mask": ["mask"],
        "images": {"ct": ["ct"]},
        "labels": [0, 1],
        **entries,
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder / "dataset.json"


def label_values(case: Case) -> list[int]:
    """The label of each slice that has any."""
    assert case.label is not None
    return [int(value) for value in read_volume(case.label).array[:, 0, 0] if value]
