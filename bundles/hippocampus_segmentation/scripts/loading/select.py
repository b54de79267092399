"""The choice of the training loader: DALI where it is installed, torch's DataLoader elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal

import torch

from ..numerics.patch_fit import patch_problem
from .cache import ArrayCache
from .dali_loader import DaliPatchLoader, available_threads
from .torch_loader import TorchPatchLoader

logger = logging.getLogger(__name__)


def patch_loader(
    data: Sequence[Mapping[str, Any]],
    cache: ArrayCache,
    patch_size: Sequence[int],
    batch_size: int = 2,
    steps_per_epoch: int | None = None,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    device: torch.device | str = "cpu",
    augmentation: Mapping[str, Any] | None = None,
    foreground_probability: float = 0.6,
    num_threads: int | None = None,
    loader: Literal["auto", "dali", "torch"] = "auto",
    patch_divisor: Sequence[int] = (1, 1, 1),
) -> DaliPatchLoader | TorchPatchLoader:
    """Make a training loader.

    Args:
        data: items {"id", "image", "label"} with the raw files' paths.
        cache: where their preprocessed arrays lie or will lie.
        patch_size: X, Y, Z in voxels.
        batch_size: patches a step and process.
        steps_per_epoch: None: as many as show every case once.
        seed: the same on all ranks.
        rank: number of this process.
        world_size: number of processes.
        device: where the tensors shall be.
        augmentation: settings as in `Augmentation`; None or {} for the defaults.
        foreground_probability: share of the patches laid around a labelled voxel.
        num_threads: None: the available cores, at most 8.
        loader: "auto" takes DALI where it is installed.
        patch_divisor: what the network's patches must be multiples of.

    Raises:
        ValueError: a setting is out of bounds, or `loader` is unknown.
        ModuleNotFoundError: "dali" was asked for and is not installed.
    """
    if loader not in ("auto", "dali", "torch"):
        message = f"loader must be 'auto', 'dali' or 'torch', not {loader!r}."
        raise ValueError(message)
    problem = patch_problem(patch_size, patch_divisor)
    if problem:
        message = f"patch_size {problem}"
        raise ValueError(message)
    if loader == "dali" and not dali_installed():
        message = (
            "loader is 'dali', but NVIDIA DALI is not installed (Linux: pip install nvidia-dali-cuda120). "
            "Set loader to 'auto' or 'torch' to go on without it."
        )
        raise ModuleNotFoundError(message)
    with_dali = loader == "dali" or (loader == "auto" and dali_installed())
    if not with_dali:
        logger.info("training patches come from torch's DataLoader")
    kind = DaliPatchLoader if with_dali else TorchPatchLoader
    return kind(
        data,
        cache,
        patch_size,
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch,
        seed=seed,
        rank=rank,
        world_size=world_size,
        device=device,
        augmentation=augmentation,
        foreground_probability=foreground_probability,
        num_threads=available_threads() if num_threads is None else num_threads,
    )


def dali_installed() -> bool:
    """Whether DALI can be found; it is not imported, which takes seconds."""
    try:
        return find_spec("nvidia.dali") is not None
    except ModuleNotFoundError:
        return False
