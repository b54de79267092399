"""Synthetic datasets that train to a good score within minutes: for the demo, for tests, as an example of the format.

Each case is a body with a few ellipsoid organs in a random pose. As in real data, cases differ in spacing, shape and
orientation, images carry noise and a bias field, and labels need not be consecutive.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.dicom import require_pydicom
from mist_bundle.dataset.phantom_files import HEADERS, STUDIES, PhantomCase, rewrite_headers, save_case, save_series
from mist_bundle.dataset.phantom_recipes import RECIPES, PhantomRecipe
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import DATASET_JSON, new_folder, write_json

Kind = Literal["mr2", "ct", "brats", "hippocampus", "metastases"]

_ORIENTATIONS = ("LPS", "RAS", "LAS", "PIR")  # ITK's, those usual in NIfTI files, and a sagittal scan


# most lesions are small, and a few of them have most of the voxels
_LESIONS = (3, 9)  # in a case
_LESION_RADII = (1.3, 7.0)  # voxels, drawn on a logarithmic scale
_LESION_CONTRAST = (90.0, 220.0)
_LESION_TRIALS = 200  # places that are tried, since lesions keep apart and inside


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
    mixed_headers: bool = True,
    dicom: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a synthetic dataset in the layout that `DatasetSpec.from_json` reads.

    Args:
        output: folder to create, with dataset.json, train/ and, if `num_test` is above 0, test/ (labelled as well, for
            scoring).
        kind: "mr2" (two MR channels, three nested or separate organs), "ct" (Hounsfield units), "brats" (four
            channels with zero background, labels 0, 1, 2, 4 stored as floating point) or "hippocampus" (an MR channel
            and two touching parts of an organ, as in task 4 of the Medical Segmentation Decathlon) or "metastases"
            (an MR channel with three to nine round lesions of very different sizes).
        num_cases: training cases.
        num_test: test cases.
        seed: the same seed yields the same voxels.
        shape: voxels of a typical case along L, P, S; single cases differ by a few.
        spacing_mm: voxel size of a typical case along L, P, S; single cases differ by up to 10 %.
        oblique: turn the scan direction in the headers by up to 10 degrees.
        mixed_orientations: store the cases in different array orientations instead of LPS.
        mixed_headers: vary how the voxels are stored from case to case, as scanners and tools do: form codes, scaling,
            floating point, micrometres, a fourth axis of length 1.
        dicom: write `studies/`, with a DICOM series for each channel of each case, and `labels/` instead.
        overwrite: replace an existing `output`.

    Returns:
        Path of the dataset.json, or of `studies/`.

    Raises:
        InputError: unknown kind, no cases, pydicom is not installed for DICOM, or `output` exists.
    """
    if kind not in RECIPES:
        raise InputError(Problem("kind", f"is {kind!r}; expected {', '.join(RECIPES)}."))
    if num_cases < 1 or num_test < 0 or len(shape) != 3 or min(shape) < 8 or len(spacing_mm) != 3:
        message = "expected at least 1 case and a shape of three numbers, 8 or larger, with three spacings."
        raise InputError(Problem("phantom", message))
    output = Path(output)
    if dicom:
        require_pydicom("--format dicom")
    with new_folder(output, overwrite=overwrite, mark=STUDIES if dicom else DATASET_JSON) as folder:
        for index in range(num_cases + num_test):
            split = "train" if index < num_cases else "test"
            case_folder = folder / split / f"{kind}_{index + 1:03d}"
            rng = np.random.default_rng([seed, index])
            case = _make_case(RECIPES[kind], rng, shape, spacing_mm, oblique=oblique)
            orientation = _ORIENTATIONS[index % len(_ORIENTATIONS)] if mixed_orientations else "LPS"
            if dicom:
                save_series(folder, case_folder.name, case, orientation, f"{kind} {seed}")
                continue
            save_case(case_folder, case, orientation, prefix=f"{case_folder.name}_" if kind == "brats" else "")
            if mixed_headers:
                rewrite_headers(case_folder, HEADERS[index % len(HEADERS)])
        if dicom:
            return output / STUDIES
        write_json(folder / DATASET_JSON, _description(kind, has_test=num_test > 0))
    return output / DATASET_JSON


def _make_case(
    recipe: PhantomRecipe, rng: np.random.Generator, shape: Sequence[int], spacing_mm: Sequence[float], *, oblique: bool
) -> PhantomCase:
    case_shape, case_spacing = _case_grid(rng, shape, spacing_mm)
    images, label = _case_arrays(recipe, case_shape, rng)
    arrays: dict[str, NDArray[Any]] = {}
    for channel, image in zip(recipe.channels, images, strict=True):
        arrays[channel] = image.astype(recipe.image_dtype)
    arrays["mask"] = label
    return PhantomCase(arrays, _case_affine(rng, case_shape, case_spacing, oblique=oblique))


def _case_grid(
    rng: np.random.Generator, shape: Sequence[int], spacing_mm: Sequence[float]
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    x, y, z = shape[0] + rng.integers(-2, 3), shape[1] + rng.integers(-2, 3), shape[2] + rng.integers(-2, 3)
    # rounded, so that headers look like a scanner's and not like noise
    return (int(x), int(y), int(z)), np.round(np.asarray(spacing_mm, dtype=float) * rng.uniform(0.9, 1.1), 2)


def _case_arrays(
    recipe: PhantomRecipe, shape: tuple[int, int, int], rng: np.random.Generator
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
        is_organ = structure.label != 0
        jitter = rng.uniform(-0.03, 0.03, size=3) if is_organ else np.zeros(3)
        radii = np.asarray(structure.radii) * rng.uniform(0.9, 1.1, size=3)
        inside = (((posed - structure.centre - jitter) / radii) ** 2).sum(axis=-1) <= 1
        if is_organ:
            inside &= body  # organs do not stick out of the body
        body |= inside
        label[inside] = structure.label
        contrast[:, inside] = np.asarray(structure.intensities)[:, None]
    if recipe.has_lesions:
        _add_lesions(label, contrast, body, rng)
    images: list[NDArray[Any]] = []
    for channel in contrast:
        bias = np.exp(recipe.bias * (grid @ rng.uniform(-1, 1, size=3)) / 2)
        noisy = channel * bias + rng.normal(0, recipe.noise, size=shape)
        images.append(_as_acquired(noisy, body, recipe))
    return images, label


def _add_lesions(
    label: NDArray[Any], contrast: NDArray[np.float64], body: NDArray[np.bool_], rng: np.random.Generator
) -> None:
    """Round lesions inside the body, apart from each other, brighter than what they lie in."""
    places = np.moveaxis(np.indices(label.shape), 0, -1)
    missing = int(rng.integers(_LESIONS[0], _LESIONS[1] + 1))
    for _ in range(_LESION_TRIALS):
        if not missing:
            return
        radius = float(np.exp(rng.uniform(*np.log(_LESION_RADII))))
        brighter = rng.uniform(*_LESION_CONTRAST)
        centre = rng.uniform(radius + 1, np.asarray(label.shape) - radius - 2)
        distances = np.linalg.norm(places - centre, axis=-1)
        around = distances <= radius + 2
        if body[around].all() and not label[around].any():
            inside = distances <= radius
            label[inside] = 1
            contrast[:, inside] += brighter
            missing -= 1


def _as_acquired(image: NDArray[np.float64], body: NDArray[np.bool_], recipe: PhantomRecipe) -> NDArray[np.float64]:
    """Values that a scanner of this modality stores."""
    if recipe.modality == "mr":
        image = np.abs(image)  # magnitude images have no negative values
    if recipe.image_dtype == "int16":
        return image.round()
    return np.where(body, image, 0.0)  # float images are skull-stripped: their background is exactly zero


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


def _description(kind: str, *, has_test: bool) -> dict[str, Any]:
    recipe = RECIPES[kind]
    prefix = "_" if kind == "brats" else ""  # of the files; the case id that precedes it differs from case to case
    content: dict[str, Any] = {"task": f"phantom_{kind}", "modality": recipe.modality, "train-data": "train"}
    if has_test:
        content["test-data"] = "test"
    content |= {
        "mask": [f"{prefix}mask.nii.gz"],
        "images": {name: [f"{prefix}{name}.nii.gz"] for name in recipe.channels},
        "labels": list(map(int, recipe.label_names)),
        "final_classes": recipe.final_classes,
        "label_names": recipe.label_names,
        "description": "Synthetic ellipsoid organs, written by mist-bundle phantom.",
        "licence": "CC0-1.0",
        "reference": "mist-bundle phantom, no patient's data",
    }
    return content
