"""Checkpoints of other programs, which hold more than weights: read without running what a pickle may ask for."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.folds.finite import load_failure

# beside what torch admits by itself: numbers of numpy, which loggers of a training leave behind
_SCALAR = ("numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar")
HARMLESS_GLOBALS = frozenset({*_SCALAR, "numpy.dtype", "_codecs.encode"})
_DTYPES = ("bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64")


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of tensors, numbers and texts, on the CPU.

    Args:
        path: file of `torch.save`.

    Returns:
        Its content.

    Raises:
        InputError: it is damaged, no dictionary, or a pickle that imports anything else; names what.
    """
    try:
        foreign = sorted(set(torch.serialization.get_unsafe_globals_in_checkpoint(path)) - HARMLESS_GLOBALS)
        if foreign:
            message = (
                f"is a pickle that would import {', '.join(foreign)}; only tensors, numbers and texts are read "
                "from it. If you trust its source, load it with the program that wrote it and save its weights alone."
            )
            raise InputError(Problem(str(path), message))
        with torch.serialization.safe_globals(_admitted()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise InputError(
            Problem(str(path), f"cannot be read as a checkpoint of torch ({load_failure(error)}).")
        ) from error
    if not isinstance(content, Mapping):
        raise InputError(Problem(str(path), f"holds a {type(content).__name__}; expected a checkpoint's dictionary."))
    return dict(content)


def _admitted() -> list[Any]:
    admitted: list[Any] = [np.dtype]
    for name in _SCALAR:
        admitted.append((np._core.multiarray.scalar, name))  # type: ignore[attr-defined]
    for name in _DTYPES:
        admitted.append(type(np.dtype(name)))
    return admitted
