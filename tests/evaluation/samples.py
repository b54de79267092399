"""Label maps on the disk, and runs in memory."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from mist_bundle.evaluation.runs import Run


def save_label(path: Path, label: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """Write a label map; fractions stay fractions."""
    path.parent.mkdir(exist_ok=True, parents=True)
    whole = np.array_equal(label, label.astype(np.uint8))
    array = label.astype(np.uint8 if whole else np.float32)
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


def make_run(name: str, scores: dict[str, dict[str, float]], **more) -> Run:
    """A run from id -> column -> value."""
    return Run(name=name, scores=pd.DataFrame.from_dict(scores, orient="index"), **more)


HEADERS = ("both codes", "qform only", "sform only", "no code", "oblique", "micrometres", "scaled")


def save_with_header(path: Path, array: np.ndarray, header: str) -> Path:
    """Write voxels under one of the kinds of header that scanners and programs write."""
    path.parent.mkdir(exist_ok=True, parents=True)
    affine = np.diag([2.0, 1.0, 3.0, 1.0])
    affine[:3, 3] = (-20, 7, 11)
    if header == "oblique":
        angle = np.radians(20)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        affine[:3, :3] = turn @ affine[:3, :3]
    if header == "micrometres":
        affine[:3] *= 1000
    kind = np.float32 if array.dtype.kind == "f" else array.dtype
    image = nib.Nifti1Image(array.astype(kind), affine)
    image.header.set_xyzt_units("micron" if header == "micrometres" else "mm")
    codes = {"qform only": (1, 0), "sform only": (0, 2), "no code": (0, 0)}.get(header, (1, 1))
    image.set_qform(affine, code=codes[0])
    image.set_sform(affine, code=codes[1])
    if header == "scaled":
        image.header.set_slope_inter(2.0, 0.0)
        image = nib.Nifti1Image((array / 2).astype(np.float32), affine, image.header)
        image.set_data_dtype(np.float32)
        image.header.set_slope_inter(2.0, 0.0)
    nib.save(image, path)
    return path


def save_without_orientation(path: Path) -> None:
    """Set the qform and sform code of an image to 0; its voxels and affine stay."""
    image = nib.load(path)
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), path)
