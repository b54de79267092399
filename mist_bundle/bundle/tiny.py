"""A tiny synthetic dataset for a trial of a bundle: four noisy cases with every label of its plan."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from mist_bundle.files import write_json
from mist_bundle.planning.plan import Plan

SHAPE = (20, 18, 16)
NUM_CASES = 4


def write_tiny_dataset(folder: Path, plan: Plan, scale: float = 1.0) -> Path:
    """Write images and label maps in the plan's spacing; returns a datalist with two folds and an unlabelled case.

    Args:
        folder: target folder.
        plan: plan of the bundle.
        scale: ratio of the spacing to that of the plan.
    """
    spacing_mm = scale * np.asarray(plan.target_spacing_mm.value, np.float64)
    affine = np.diag([*spacing_mm, 1.0])
    labels = np.asarray(plan.labels, np.int16)
    generator = np.random.default_rng(0)
    cases = []
    for number in range(NUM_CASES):
        identity = f"tiny_{number}"
        label = _label_map(labels)
        images = []
        for channel in range(plan.num_channels):
            image = 100.0 + 40.0 * label + generator.normal(0, 5, SHAPE)
            images.append(_write(folder / f"{identity}_{channel}.nii.gz", image.astype(np.float32), affine))
        label_file = _write(folder / f"{identity}_label.nii.gz", label, affine)
        fold = number % 2
        entry = {"id": identity, "image": images, "label": label_file, "fold": fold}
        cases.append({**entry, "validates": [1 - fold] if number >= 2 else []})
    datalist = folder / "datalist.json"
    testing = [{"id": "tiny_test", "image": cases[0]["image"]}]
    write_json(datalist, {"training": cases, "testing": testing})
    return datalist


def _label_map(labels: np.ndarray) -> np.ndarray:
    # slabs of every label inside a border of background
    inside = np.zeros(SHAPE, np.int16)
    core = np.linspace(0, len(labels), SHAPE[0] - 4, endpoint=False).astype(int)
    inside[2:-2, 2:-2, 2:-2] = labels[core][:, None, None]
    return inside


def _write(path: Path, array: np.ndarray, affine: np.ndarray) -> str:
    nib.save(nib.Nifti1Image(array, affine), path)
    return path.name
