"""Recipes: every value that no dataset decides, as rows of data.

`paper` is the default and follows arXiv 2407.21343; `mist2` has the values of mist-medical 2.3.0; `brats2024` is the
paper's section 2.3; `quick` is for a short training on a laptop, `cpu` for a model that predicts large images on one. A
new recipe is a new row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mist_bundle.planning.decision import Decision
from mist_bundle.planning.options import PlanOptions

# reasons of decisions that follow from no rule
CHOSEN = "Chosen by the user."
OFF = "Off by default."
OVERLAP = 0.5  # of sliding windows, in MIST 2.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Decisions that need no data.

    Attributes:
        about: a line for people.
        cite: source of the values.
        options: values of the options that recipes set (`by_recipe`), for those that the user leaves open.
        filters: widths of a U-Net's levels, full resolution first; the last number serves all deeper levels.
        patch_rule: "power_of_two" (paper), "budget" (2.3.0: voxels for the memory, quasi-2D where slices are far apart)
            or "cover" (the median image, as far as the voxel budget goes).
        max_patch_voxels: voxels of a patch that "cover" does not exceed, nor "budget" in a batch of two.
        max_image_voxels: the target spacing is enlarged until the median image has no more voxels; 0 for no limit.
        overlap: share of a window that the next one covers again, in predictions.
        nonzero_ratio: per-image statistics use non-zero voxels if non-zero/zero is below it (None: MIST 2.3.0's rule,
            a mean non-zero fraction of at most 0.8).
        batch_because: further explanation of the batch size.
        warmup_fraction: share of all steps in which the rate rises linearly.
        min_steps_per_epoch: an epoch is max(this, training cases / batch size) steps.
        val_interval: epochs between validations.
        test_time_flips: whether inference flips the axes that training flips.
    """

    about: str
    cite: str = ""
    options: PlanOptions
    filters: tuple[int, ...] = (32, 64, 128, 256, 320)
    patch_rule: str = "power_of_two"
    max_patch_voxels: int = 128**3
    max_image_voxels: int = 0
    overlap: float = OVERLAP
    nonzero_ratio: float | None = 0.2
    batch_because: str = ""
    warmup_fraction: float = 0.0
    min_steps_per_epoch: int = 250
    val_interval: int = 1
    test_time_flips: bool = True


_PAPER_OPTIONS = PlanOptions(
    network="nnunet",
    residual=True,
    deep_supervision_heads=2,
    loss="dice_ce",
    optimizer="adam",
    learning_rate=3e-4,
    schedule="constant",
    weight_decay=0.0,
    l1_penalty=0.0,
    grad_clip_norm=1.0,
    accumulation_steps=1,
    ema_decay=0.0,
    early_stopping=0,
    precision="auto",
    compile=False,
    augmentation="mist",
    flip_axes=(0, 1, 2),
    epochs=1000,
    batch_size=2,
    val_fraction=0.1,
    max_patch_size=(256, 256, 256),
)

_PAPER = Recipe(
    about="The paper's defaults: Adam 3e-4 constant, 1000 epochs, 10 % inner validation.",
    cite="Celaya et al., arXiv 2407.21343, sections 2.1-2.2",
    options=_PAPER_OPTIONS,
)

_QUICK = replace(
    _PAPER,
    about="For a laptop: a small nnU-Net on blocks of voxels, whole-organ patches; minutes instead of days.",
    cite="measured, docs/benchmarks.md",
    options=replace(
        _PAPER_OPTIONS,
        network="nnunet-subpixel",
        residual=False,
        deep_supervision_heads=0,
        optimizer="adamw",
        learning_rate=4e-3,
        schedule="cosine",
        weight_decay=0.05,
        ema_decay=0.99,
        augmentation="nnunet",
        epochs=28,
        # left and right sides mirror each other, top and bottom do not; 75-second trainings gained 0.04 Dice by it
        flip_axes=(0,),
    ),
    filters=(24, 48, 96),
    patch_rule="cover",
    max_patch_voxels=40 * 56 * 40,
    warmup_fraction=0.05,
    min_steps_per_epoch=100,
    val_interval=5,
    test_time_flips=False,
)

RECIPES: dict[str, Recipe] = {
    "paper": _PAPER,
    "brats2024": replace(
        _PAPER,
        about="The paper's BraTS 2024 protocol: pocket nnU-Net, cosine from 1e-3, 15000 epochs, 32 patches a step.",
        cite="Celaya et al., arXiv 2407.21343, section 2.3",
        options=replace(
            _PAPER_OPTIONS,
            network="nnunet-pocket",
            learning_rate=1e-3,
            schedule="cosine",
            weight_decay=1e-5,
            epochs=15000,
            batch_size=32,
            accumulation_steps=8,
            val_fraction=0.025,
            max_patch_size=(128, 128, 128),
            regions=False,
        ),
        batch_because="Four patches at once: in eight passes on a single GPU, in a single pass on each of eight.",
    ),
    "mist2": replace(
        _PAPER,
        # 2.3.0 validates on the held-out fold and then reports that fold; the inner split is kept here instead
        about="mist-medical 2.3.0's defaults: AdamW 1e-3, cosine with warm-up, clip 1; but an inner validation split.",
        cite="mist-medical 2.3.0",
        options=replace(
            _PAPER_OPTIONS,
            optimizer="adamw",
            learning_rate=1e-3,
            schedule="cosine",
            weight_decay=1e-4,
            max_patch_size=(512, 512, 512),
            regions=False,
        ),
        warmup_fraction=0.02,
        nonzero_ratio=None,
        patch_rule="budget",
    ),
    "best": replace(
        _PAPER,
        about="For accuracy on a GPU: residual-encoder nnU-Net for 24 GB, trained as nnU-Net trains.",
        cite="Isensee et al., MICCAI 2024, arXiv 2404.09556 (nnU-Net Revisited)",
        options=replace(
            _PAPER_OPTIONS,
            network="resenc-l",
            optimizer="sgd-nnunet",
            learning_rate=1e-2,
            schedule="polynomial",
            weight_decay=3e-5,
            grad_clip_norm=12.0,
            augmentation="nnunet",
            deep_supervision_heads=4,
        ),
        val_interval=5,
    ),
    "quick": _QUICK,
    "cpu": replace(
        _QUICK,
        about="For predicting large images on a CPU: as `quick`, on voxels coarse enough for seconds a case.",
        cite="measured, docs/benchmarks.md (seconds; the settings of its training are those of `quick`)",
        options=replace(_QUICK.options, epochs=100),
        max_patch_voxels=124**3,  # so that most patches end at 128, a multiple of the strides
        max_image_voxels=2**23,
        overlap=0.25,
    ),
}


def is_chosen(because: str) -> bool:
    """Return whether the reason of a decision says that the user chose the value."""
    return because.startswith((CHOSEN.rstrip("."), "Asked for"))  # the second in plans written before 0.3


def by_recipe(recipe: str) -> str:
    """Return the reason of a decision that a recipe makes."""
    return f"Default of recipe {recipe!r}."


def resolve_option(name: str, options: PlanOptions) -> Decision[Any]:
    """Return the user's value of an option, or the recipe's if the user left it open."""
    value = getattr(options, name)
    if value is not None:
        return Decision(value, CHOSEN)
    return Decision(getattr(RECIPES[options.recipe].options, name), by_recipe(options.recipe))
