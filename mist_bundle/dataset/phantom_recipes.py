"""What each kind of phantom consists of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Structure:
    """An ellipsoid with an intensity for each channel.

    Attributes:
        label: in the label map; 0 for plain tissue.
        centre: L, P, S in units of half the field of view.
        radii: likewise.
        intensities: in each channel.
    """

    label: int
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    intensities: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PhantomRecipe:
    """Appearance of a kind of phantom. Later structures cover earlier structures.

    Attributes:
        modality: "ct" or "mr".
        channels: their names.
        air: intensity outside the body.
        noise: standard deviation of the added noise.
        bias: strength of the smooth field that multiplies the intensities; 0 for none.
        image_dtype: of the stored images.
        label_dtype: of the stored label maps.
        structures: from the body to the smallest organ.
        label_names: of dataset.json.
        final_classes: of dataset.json.
        has_lesions: whether round lesions of different sizes are added.
    """

    modality: str
    channels: tuple[str, ...]
    air: float
    noise: float
    bias: float
    image_dtype: str
    label_dtype: str
    structures: tuple[Structure, ...]
    label_names: dict[str, str]
    final_classes: dict[str, list[int]]
    has_lesions: bool = False


def _structure(label: int, centre: Sequence[float], radii: Sequence[float], *intensities: float) -> Structure:
    return Structure(
        label=label,
        centre=(centre[0], centre[1], centre[2]),
        radii=(radii[0], radii[1], radii[2]),
        intensities=intensities,
    )


RECIPES: dict[str, PhantomRecipe] = {
    "mr2": PhantomRecipe(
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
    "ct": PhantomRecipe(
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
    "brats": PhantomRecipe(
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
    "hippocampus": PhantomRecipe(
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
    "metastases": PhantomRecipe(
        modality="mr",
        channels=("t1ce",),
        air=0.0,
        noise=18.0,
        bias=0.15,
        image_dtype="int16",
        label_dtype="uint8",
        structures=(
            _structure(0, (0.0, 0.0, 0.0), (0.85, 0.92, 0.9), 300),
            _structure(0, (-0.18, -0.05, 0.1), (0.08, 0.3, 0.16), 180),
            _structure(0, (0.18, -0.05, 0.1), (0.08, 0.3, 0.16), 180),
            _structure(0, (0.0, 0.0, 0.86), (0.06, 0.8, 0.04), 480),  # a vessel, as bright as the lesions
        ),
        label_names={"0": "background", "1": "metastasis"},
        final_classes={"metastasis": [1]},
        has_lesions=True,
    ),
}
