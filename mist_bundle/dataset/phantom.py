"""Synthetic datasets that train to a good score within minutes: for the demo, for tests, as an example of the format.

Each case is a body with a few ellipsoid organs in a random pose. Cases differ in spacing, shape and orientation, the
images carry noise and a bias field, and labels need not be consecutive: what real data do, in a few megabytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mist_bundle.errors import InputError, Problem
from mist_bundle.files import DATASET_JSON, new_folder, write_json

Kind = Literal["mr2", "ct", "brats", "hippocampus"]

_ORIENTATIONS = ("LPS", "RAS", "LAS", "PIR")  # ITK's own, the usual NIfTI ones, and a sagittal scan


@dataclass(frozen=True, kw_only=True, slots=True)
class _Structure:
    """An ellipsoid in units of half the field of view, in LPS directions, with one intensity for each channel."""

    label: int
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    intensities: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recipe:
    """What a kind of phantom looks like. Later structures lie on top of earlier ones; label 0 marks plain tissue."""

    modality: str
    channels: tuple[str, ...]
    air: float
    noise: float
    bias: float
    image_dtype: str
    label_dtype: str
    structures: tuple[_Structure, ...]
    label_names: dict[str, str]
    final_classes: dict[str, list[int]]


def _structure(label: int, centre: Sequence[float], radii: Sequence[float], *intensities: float) -> _Structure:
    return _Structure(
        label=label,
        centre=(centre[0], centre[1], centre[2]),
        radii=(radii[0], radii[1], radii[2]),
        intensities=intensities,
    )


_RECIPES: dict[str, _Recipe] = {
    "mr2": _Recipe(
        modality="mr",
        channels=("t1", "t2"),
        air=0.0,
        noise=15.0,
        bias=0.25,
        image_dtype="int16",
        label_dtype="uint8",
        structures=(
            _structure(0, (0.0, 0.0, 0.0), (0.85, 0.75, 0.95), 300, 250),
            _structure(1, (-0.32, -0.08, 0.0), (0.36, 0.42, 0.55), 600, 400),
            _structure(2, (0.42, 0.22, 0.05), (0.18, 0.26, 0.40), 450, 750),
            _structure(3, (-0.34, -0.10, 0.05), (0.16, 0.18, 0.24), 250, 900),
        ),
        label_names={"0": "background", "1": "liver", "2": "kidney", "3": "tumour"},
        final_classes={"liver": [1, 3], "kidney": [2], "tumour": [3]},
    ),
    "ct": _Recipe(
        modality="ct",
        channels=("ct",),
        air=-1000.0,
        noise=20.0,
        bias=0.0,
        image_dtype="int16",
        label_dtype="uint8",
        structures=(
            _structure(0, (0.0, 0.0, 0.0), (0.88, 0.78, 0.98), -100),
            _structure(0, (0.0, 0.0, 0.0), (0.80, 0.70, 0.95), 40),
            _structure(0, (0.0, 0.50, 0.0), (0.14, 0.14, 0.95), 600),
            _structure(1, (-0.35, -0.08, 0.0), (0.34, 0.42, 0.55), 130),
            _structure(2, (0.42, 0.18, 0.05), (0.18, 0.24, 0.40), 230),
        ),
        label_names={"0": "background", "1": "liver", "2": "kidney"},
        final_classes={"liver": [1], "kidney": [2]},
    ),
    "brats": _Recipe(
        modality="mr",
        channels=("t1", "t1ce", "t2", "flair"),
        air=0.0,
        noise=12.0,
        bias=0.15,
        image_dtype="float32",
        label_dtype="float32",  # as in some distributions of the BraTS data
        structures=(
            _structure(0, (0.0, 0.0, 0.0), (0.72, 0.82, 0.80), 300, 300, 300, 300),
            _structure(2, (0.24, -0.15, 0.10), (0.42, 0.46, 0.50), 260, 270, 600, 700),
            _structure(4, (0.24, -0.15, 0.10), (0.27, 0.30, 0.34), 280, 900, 500, 550),
            _structure(1, (0.24, -0.15, 0.10), (0.16, 0.18, 0.20), 180, 200, 650, 350),
        ),
        label_names={"0": "background", "1": "necrosis", "2": "oedema", "4": "enhancing tumour"},
        final_classes={"WT": [1, 2, 4], "TC": [1, 4], "ET": [4]},
    ),
    "hippocampus": _Recipe(
        modality="mr",
        channels=("mri",),
        air=0.0,
        noise=12.0,
        bias=0.1,
        image_dtype="int16",
        label_dtype="uint8",
        structures=(
            _structure(0, (0.0, 0.0, 0.0), (1.9, 1.9, 1.9), 300),  # tissue everywhere: a cut-out of a brain
            _structure(0, (0.9, 0.9, 0.9), (0.7, 0.7, 0.7), 560),
            _structure(0, (-0.9, -0.9, -0.9), (0.7, 0.7, 0.7), 560),
            _structure(2, (0.0, 0.22, -0.05), (0.30, 0.48, 0.26), 480),
            _structure(1, (0.0, -0.38, 0.05), (0.36, 0.36, 0.32), 520),
        ),
        label_names={"0": "background", "1": "anterior", "2": "posterior"},
        final_classes={"anterior": [1], "posterior": [2], "hippocampus": [1, 2]},
    ),
}


def make_phantom(
    output: Path,
    kind: Kind = "mr2",
    num_cases: int = 12,
    num_test: int = 0,
    seed: int = 0,
    shape: Sequence[int] = (64, 64, 40),
    spacing_mm: Sequence[float] = (1.0, 1.0, 2.0),
    oblique: bool = False,
    mixed_orientations: bool = True,
    mixed_headers: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a synthetic dataset in the layout that `DatasetSpec.from_json` reads.

    Args:
        output: folder to make; it gets dataset.json, train/ and, when asked for, test/ (labelled too, for scoring).
        kind: "mr2" (two MR channels, three nested or separate organs), "ct" (Hounsfield units) or "brats" (four
            channels with zero background, labels 0, 1, 2, 4 stored as floating point) or "hippocampus" (one MR channel
            and two touching parts of one organ, as in task 4 of the Medical Segmentation Decathlon).
        num_cases: training cases.
        num_test: test cases.
        seed: the same seed gives the same voxels.
        shape: voxels of a typical case along L, P, S; single cases differ by a few.
        spacing_mm: voxel size of a typical case along L, P, S; single cases differ by up to 10 %.
        oblique: turn the scan direction in the headers by up to 10 degrees.
        mixed_orientations: store the cases in different array orientations instead of LPS.
        mixed_headers: write the same voxels and places as scanners and tools do, one way a case: with one or both
            form codes, scaled, as floating point, in micrometres, with a fourth axis of length one.
        overwrite: replace what lies at `output`.

    Returns:
        Path of the dataset.json.

    Raises:
        InputError: unknown kind, no cases, or `output` exists.
    """
    if kind not in _RECIPES:
        raise InputError(Problem("kind", f"is {kind!r}; expected one of {', '.join(_RECIPES)}."))
    if num_cases < 1 or num_test < 0 or len(shape) != 3 or min(shape) < 8 or len(spacing_mm) != 3:
        message = "expected at least one case and a shape of three numbers, 8 or larger, with three spacings."
        raise InputError(Problem("phantom", message))
    recipe = _RECIPES[kind]
    output = Path(output)
    with new_folder(output, overwrite=overwrite) as folder:
        for index in range(num_cases + num_test):
            split = "train" if index < num_cases else "test"
            rng = np.random.default_rng([seed, index])
            case_shape, case_spacing = _case_grid(rng, shape, spacing_mm)
            images, label = _case_arrays(recipe, case_shape, rng)
            affine = _case_affine(rng, case_shape, case_spacing, oblique=oblique)
            target = _ORIENTATIONS[index % len(_ORIENTATIONS)] if mixed_orientations else "LPS"
            case_id = f"{kind}_{index + 1:03d}"
            prefix = f"{case_id}_" if kind == "brats" else ""
            case_folder = folder / split / case_id
            _save_case(case_folder, prefix, recipe, images, label, affine, target)
            for path in sorted(case_folder.iterdir()) if mixed_headers else ():
                _write_otherwise(path, _HEADERS[index % len(_HEADERS)])
        write_json(folder / DATASET_JSON, _description(kind, recipe, num_test))
    return output / DATASET_JSON


def _case_grid(
    rng: np.random.Generator, shape: Sequence[int], spacing_mm: Sequence[float]
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    x, y, z = (int(length + rng.integers(-2, 3)) for length in shape)
    # rounded, so that headers look like a scanner's and not like noise
    return (x, y, z), np.round(np.asarray(spacing_mm, dtype=float) * rng.uniform(0.9, 1.1), 2)


def _case_arrays(
    recipe: _Recipe, shape: tuple[int, int, int], rng: np.random.Generator
) -> tuple[list[NDArray[Any]], NDArray[Any]]:
    """Images and label on an LPS grid, (X, Y, Z) each."""
    axes = [np.linspace(-1, 1, length) for length in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    rotation = _rotation(rng.uniform(-0.2, 0.2, size=3))
    posed = (grid - rng.uniform(-0.06, 0.06, size=3)) @ rotation / rng.uniform(0.9, 1.05)
    label = np.zeros(shape, dtype=recipe.label_dtype)
    contrast = np.full((len(recipe.channels), *shape), recipe.air)
    body = np.zeros(shape, dtype=bool)
    for structure in recipe.structures:
        jitter = rng.uniform(-0.03, 0.03, size=3) if structure.label else np.zeros(3)
        radii = np.asarray(structure.radii) * rng.uniform(0.9, 1.1, size=3)
        inside = (((posed - structure.centre - jitter) / radii) ** 2).sum(axis=-1) <= 1
        inside &= body if structure.label else True  # organs do not stick out of the body
        body |= inside
        label[inside] = structure.label
        contrast[:, inside] = np.asarray(structure.intensities)[:, None]
    images: list[NDArray[Any]] = []
    for channel in contrast:
        bias = np.exp(recipe.bias * (grid @ rng.uniform(-1, 1, size=3)) / 2)
        noisy = channel * bias + rng.normal(0, recipe.noise, size=shape)
        if recipe.modality == "mr":
            # magnitude images have no negative values; a skull-stripped background is exactly zero
            noisy = np.where(body, np.abs(noisy), 0.0 if recipe.image_dtype == "float32" else np.abs(noisy))
        images.append(noisy.round().astype(recipe.image_dtype) if recipe.image_dtype == "int16" else noisy)
    return images, label


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrix of three angles in radians, about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[[first, second], [first, second]] = np.cos(angle)
        step[first, second], step[second, first] = -np.sin(angle), np.sin(angle)
        matrix = step @ matrix
    return matrix


def _case_affine(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing_mm: NDArray[np.float64], *, oblique: bool
) -> NDArray[np.float64]:
    """RAS+ affine of an LPS grid whose centre lies near the world's origin."""
    direction = np.diag([-1.0, -1.0, 1.0])
    tilt = rng.uniform(-np.pi / 18, np.pi / 18, size=3)
    if oblique:
        direction = _rotation(tilt) @ direction
    affine = np.eye(4)
    affine[:3, :3] = direction * spacing_mm
    centre = (np.asarray(shape) - 1) / 2
    affine[:3, 3] = np.round(rng.uniform(-20, 20, size=3), 1) - affine[:3, :3] @ centre
    return affine


def _save_case(
    folder: Path,
    prefix: str,
    recipe: _Recipe,
    images: Sequence[NDArray[Any]],
    label: NDArray[Any],
    affine: NDArray[np.float64],
    orientation: str,
) -> None:
    import nibabel as nib
    from nibabel import orientations

    folder.mkdir(parents=True)
    change = orientations.ornt_transform(
        orientations.axcodes2ornt(("L", "P", "S")), orientations.axcodes2ornt(tuple(orientation))
    )
    named = dict(zip((*recipe.channels, "mask"), (*images, label), strict=True))
    for name, array in named.items():
        dtype = recipe.label_dtype if name == "mask" else recipe.image_dtype
        volume = nib.Nifti1Image(array.astype(dtype), affine)
        volume.header.set_xyzt_units("mm")
        nib.save(volume.as_reoriented(change), folder / f"{prefix}{name}.nii.gz")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    """One way to write a file without changing what it says."""

    qform_code: int = 1
    sform_code: int = 1
    units: str = "mm"
    slope: float = 1.0
    inter: float = 0.0
    dtype: str | None = None
    fourth_axis: bool = False


_HEADERS = (
    _Header(),
    _Header(sform_code=0),
    _Header(qform_code=0, sform_code=2),
    _Header(slope=0.5, inter=-100.0),
    _Header(units="micron"),
    _Header(dtype="float32", qform_code=0, sform_code=1),
    _Header(units="unknown", fourth_axis=True),
)


def _write_otherwise(path: Path, how: _Header) -> None:
    """Write a file anew with another header for the same voxels at the same place."""
    import nibabel as nib

    source: Any = nib.load(path)
    kind = np.dtype(how.dtype) if how.dtype else source.get_data_dtype()
    scale = (how.slope, how.inter) if kind.kind == "i" else (1.0, 0.0)
    values = ((np.array(source.dataobj) - scale[1]) / scale[0]).astype(kind)
    per_mm = 1000.0 if how.units == "micron" else 1.0
    affine = np.diag([per_mm, per_mm, per_mm, 1.0]) @ source.affine
    image = nib.Nifti1Image(values[..., None] if how.fourth_axis else values, affine)
    image.header.set_xyzt_units(how.units)
    image.set_qform(affine, how.qform_code)
    image.set_sform(affine, how.sform_code)
    image.header.set_data_dtype(kind)
    image.header.set_slope_inter(*scale)
    nib.save(image, path)


def _description(kind: str, recipe: _Recipe, num_test: int) -> dict[str, Any]:
    before = "_" if kind == "brats" else ""
    return {
        "task": f"phantom_{kind}",
        "modality": recipe.modality,
        "train-data": "train",
        **({"test-data": "test"} if num_test else {}),
        "mask": [f"{before}mask.nii.gz"],
        "images": {name: [f"{before}{name}.nii.gz"] for name in recipe.channels},
        "labels": [int(label) for label in recipe.label_names],
        "final_classes": recipe.final_classes,
        "label_names": recipe.label_names,
        "description": "Synthetic ellipsoid organs, made by mist_bundle phantom.",
        "licence": "CC0-1.0",
        "reference": "https://creativecommons.org/publicdomain/zero/1.0/",
    }
