"""The choice of the training loader: DALI where it is installed, torch's DataLoader elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal

import torch

from ..numerics.patch_fit import patch_problem
from .cache import ArrayCache
from .dali.loader import DaliPatchLoader
from .patch_loader import PatchLoader
from .settings import PatchSettings
from .threads import available_threads
from .torch_loader import TorchPatchLoader

logger = logging.getLogger(__name__)


def patch_loader(
    data: Sequence[Mapping[str, Any]],
    cache: ArrayCache,
    device: torch.device | str = "cpu",
    num_threads: int | None = None,
    loader: Literal["auto", "dali", "torch"] = "auto",
    patch_divisor: Sequence[int] = (1, 1, 1),
    **settings: Any,
) -> PatchLoader:
    """Create a training loader.

    Args:
        data: items {"id", "image", "label"} with the raw files' paths.
        cache: where their preprocessed arrays are or will be.
        device: where the tensors shall be.
        num_threads: None: the available cores, at most 8.
        loader: "auto" takes DALI where it is installed.
        patch_divisor: what the network's patches must be multiples of.
        **settings: those of `PatchSettings`, as they stand in a JSON file.

    Raises:
        ValueError: a setting is out of bounds, or `loader` is unknown.
        ModuleNotFoundError: `loader` is "dali", but DALI is not installed.
    """
    if loader not in ("auto", "dali", "torch"):
        message = f"loader must be 'auto', 'dali' or 'torch', not {loader!r}."
        raise ValueError(message)
    patches = PatchSettings.from_config(settings)
    problem = patch_problem(patches.patch_size, patch_divisor)
    if problem:
        message = f"patch_size {problem}"
        raise ValueError(message)
    if loader == "dali" and not dali_installed():
        message = (
            "loader is 'dali', but NVIDIA DALI is not installed (Linux: pip install nvidia-dali-cuda120). "
            "Set loader to 'auto' or 'torch' to continue without it."
        )
        raise ModuleNotFoundError(message)
    threads = available_threads() if num_threads is None else num_threads
    if loader == "dali" or (loader == "auto" and dali_installed()):
        return DaliPatchLoader(data, cache, patches, device, threads)
    logger.info("training patches come from torch's DataLoader")
    return TorchPatchLoader(data, cache, patches, device, threads)


def dali_installed() -> bool:
    """Whether DALI is there; it is not imported, which takes seconds."""
    try:
        return find_spec("nvidia.dali") is not None
    except ModuleNotFoundError:
        return False
