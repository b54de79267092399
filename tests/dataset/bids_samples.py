"""A small BIDS dataset with sessions, several channels and label maps in derivatives/."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.dataset.samples import save_volume

SHAPE = (6, 5, 4)


def write_image(folder: Path, name: str, seed: int = 0) -> Path:
    """Write a random image."""
    return save_volume(folder / f"{name}.nii.gz", np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32))


def write_label(folder: Path, name: str, values: Sequence[int] = (1, 2)) -> Path:
    """Write a label map that holds the background and some values."""
    array = np.zeros(SHAPE, np.uint8)
    for index, value in enumerate(values):
        array[index + 1] = value
    return save_volume(folder / f"{name}.nii.gz", array)


def make_bids(root: Path, subjects: int = 3, sessions: Sequence[str] = ("1", "2")) -> Path:
    """Subjects with sessions of T1w and FLAIR; the last session of the last subject has no label map."""
    names = []
    for number in range(1, subjects + 1):
        for session in sessions:
            name = f"sub-{number:02d}_ses-{session}" if session else f"sub-{number:02d}"
            place = Path(f"sub-{number:02d}") / (f"ses-{session}" if session else "") / "anat"
            names.append((place, name))
    for place, name in names:
        write_image(root / place, f"{name}_T1w")
        write_image(root / place, f"{name}_FLAIR", seed=1)
    labelled = names[:-1] if len(names) > 1 else names
    for place, name in labelled:
        write_label(root / "derivatives" / "labels" / place, f"{name}_dseg")
    (root / "derivatives" / "labels" / "dseg.tsv").write_text("index\tname\n1\thippocampus\n2\tamygdala\n3\tunused\n")
    (root / "participants.tsv").write_text("participant_id\tage\nsub-01\t40\n")
    description = {"Name": "Memory study", "BIDSVersion": "1.9.0", "License": "CC0", "DatasetDOI": "doi:10.1/x"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    return root
