"""What the user may ask for, before anything is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mist_bundle.planning.rules import Spacing, Triple


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanOptions:
    """What the user may ask for; None leaves the decision to the recipe or the data."""

    recipe: str = "paper"
    network: str | None = None
    network_arguments: Mapping[str, Any] | None = None
    deep_supervision_heads: int | None = None
    deep_supervision_weights: tuple[float, ...] | None = None  # of the outputs, full resolution first
    residual: bool | None = None
    vae: bool | None = None
    kernel_size: int | None = None
    patch_divisor: Triple | None = None  # what the patches of a user's own network must be multiples of
    loss: str | None = None
    loss_arguments: Mapping[str, Any] | None = None
    folds: int = 5
    val_fraction: float | None = None
    epochs: int | None = None
    steps_per_epoch: int | None = None
    batch_size: int | None = None
    patch_size: Triple | None = None
    max_patch_size: Triple | None = None
    target_spacing: Spacing | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    schedule: str | None = None
    warmup_steps: int | None = None
    weight_decay: float | None = None
    l1_penalty: float | None = None
    grad_clip_norm: float | None = None
    accumulation_steps: int | None = None
    ema_decay: float | None = None
    early_stopping: int | None = None
    precision: str | None = None
    compile: bool | None = None
    augmentation: str | None = None
    seed: int = 42
    skip_preprocessing: bool = False
    bias_correction: bool = False
    distance_maps: bool = False
    normalize_distance_maps: bool = True
    distance_maps_in_mm: bool = False
    composite_weighting: str | None = None
    class_weights: tuple[float, ...] | str | None = None  # "auto": from the voxels of each class
    ignore_label: int | None = None
    regions: bool | None = None
    region_labels: tuple[int, ...] | None = None
    flip_axes: tuple[int, ...] | None = None
