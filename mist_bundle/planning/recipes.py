"""Recipes: every value that no dataset decides, as rows of data.

`paper` is the default and follows arXiv 2407.21343; `mist2` gives the values of mist-medical 2.3.0; `brats2024` is the
paper's section 2.3; `quick` is made for a short training on a laptop. A new recipe is one more row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What is decided before any data is seen.

    Attributes:
        patch_rule: "power_of_two" (paper), "budget" (2.3.0: voxels for the memory, quasi-2D where slices are far apart)
            or "cover" (the median image, as far as the voxel budget goes).
        max_patch_size: voxels per axis that no patch exceeds.
        max_patch_voxels: voxels of one patch that "cover" does not exceed, nor "budget" in a batch of two.
        nonzero_ratio: per-image statistics use non-zero voxels when non-zero/zero is below it (None: MIST 2.3.0's rule,
            a mean non-zero fraction of at most 0.8).
        weight_decay: L2 penalty; decoupled with adamw.
        l1_penalty: factor of the sum of the weights' absolute values.
        grad_clip_norm: largest norm of the gradients, 0 for no clipping.
        batch_size: patches of one optimizer step, over all processes that train together.
        batch_because: what else is to be said about the batch size.
        accumulation_steps: passes in which a single process computes them, where its device cannot hold all at once.
        early_stopping: validations without a better score after which training ends, 0 for never.
        precision: name from catalog/precisions.py.
        compile: torch.compile the network.
        augmentation: name from catalog/augmentations.py.
        warmup_fraction: part of all steps in which the rate rises linearly; never longer than the run.
        deep_supervision_heads: auxiliary outputs, 0 for none.
        min_steps_per_epoch: an epoch is max(this, training cases / batch size) steps.
        filters: widths of a U-Net's levels, full resolution first; the last one serves all deeper levels.
        regions: True or False where the protocol says so; None: where the classes that are scored call for it.
        flip_axes: array axes (X, Y, Z) that are mirrored in training and, with test_time_flips, in inference.
        ema_decay: the evaluated weights are an exponential moving average with this decay; 0 for none.
    """

    about: str
    cite: str = ""
    network: str = "nnunet"
    residual: bool = True
    filters: tuple[int, ...] = (32, 64, 128, 256, 320)
    loss: str = "dice_ce"
    optimizer: str = "adam"
    learning_rate: float = 3e-4
    schedule: str = "constant"
    warmup_fraction: float = 0.0
    weight_decay: float = 0.0
    l1_penalty: float = 0.0
    grad_clip_norm: float = 1.0
    accumulation_steps: int = 1
    early_stopping: int = 0
    precision: str = "auto"
    compile: bool = False
    augmentation: str = "mist"
    epochs: int = 1000
    min_steps_per_epoch: int = 250
    batch_size: int = 2
    batch_because: str = ""
    val_fraction: float = 0.1
    val_interval: int = 1
    patch_rule: str = "power_of_two"
    max_patch_size: tuple[int, int, int] = (256, 256, 256)
    max_patch_voxels: int = 128**3
    nonzero_ratio: float | None = 0.2
    deep_supervision_heads: int = 2
    ema_decay: float = 0.0
    test_time_flips: bool = True
    regions: bool | None = None
    flip_axes: tuple[int, ...] = (0, 1, 2)


_PAPER = Recipe(
    about="The paper's defaults: Adam 3e-4 constant, 1000 epochs, 10 % inner validation.",
    cite="Celaya et al., arXiv 2407.21343, sections 2.1-2.2",
)

RECIPES: dict[str, Recipe] = {
    "paper": _PAPER,
    "brats2024": replace(
        _PAPER,
        about="The paper's BraTS 2024 protocol: pocket nnU-Net, cosine from 1e-3, 15000 epochs, 32 patches a step.",
        cite="Celaya et al., arXiv 2407.21343, section 2.3",
        network="nnunet-pocket",
        learning_rate=1e-3,
        schedule="cosine",
        weight_decay=1e-5,
        epochs=15000,
        batch_size=32,
        accumulation_steps=8,
        batch_because="Four patches at once: in eight passes on one GPU, in one pass on each of eight.",
        val_fraction=0.025,
        max_patch_size=(128, 128, 128),
        regions=False,
    ),
    "mist2": replace(
        _PAPER,
        # 2.3.0 validates on the held-out fold and then reports that fold; the inner split is kept here instead
        about="mist-medical 2.3.0's defaults: AdamW 1e-3, cosine with warm-up, clip 1; but an inner validation split.",
        cite="mist-medical 2.3.0",
        optimizer="adamw",
        learning_rate=1e-3,
        schedule="cosine",
        warmup_fraction=0.02,
        weight_decay=1e-4,
        nonzero_ratio=None,
        patch_rule="budget",
        max_patch_size=(512, 512, 512),
        regions=False,
    ),
    "quick": replace(
        _PAPER,
        about="For a laptop: a small nnU-Net on blocks of voxels, whole-organ patches; minutes instead of days.",
        cite="measured, docs/benchmarks.md",
        network="nnunet-subpixel",
        filters=(24, 48, 96),
        residual=False,
        optimizer="adamw",
        learning_rate=4e-3,
        schedule="cosine",
        warmup_fraction=0.05,
        weight_decay=0.05,
        augmentation="nnunet",
        epochs=28,
        min_steps_per_epoch=100,
        patch_rule="cover",
        max_patch_voxels=40 * 56 * 40,
        deep_supervision_heads=0,
        val_interval=5,
        ema_decay=0.99,
        test_time_flips=False,
        # left and right sides mirror each other, top and bottom do not; 75-second trainings gained 0.04 Dice by this
        flip_axes=(0,),
    ),
}
