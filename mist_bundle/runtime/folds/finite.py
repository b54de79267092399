"""Unusable weights: with NaN in them, every prediction is nonsense that looks like a label map; or no weights."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..wording import list_names

if TYPE_CHECKING:
    import torch

_MAX_NAMED = 3
_REASON_LENGTH = 200  # characters of an error of torch


def not_finite(weights: Mapping[str, Any]) -> list[str]:
    """Names of the tensors that hold a NaN or an infinite number."""
    import torch

    names = []
    for name, value in weights.items():
        if isinstance(value, torch.Tensor) and not _is_finite(value):
            names.append(name)
    return names


def not_finite_text(weights: Mapping[str, Any]) -> str | None:
    """The same as the middle of a sentence: `holds NaN or infinite numbers in 2 of 40 tensors (a.weight, a.bias)`."""
    names = not_finite(weights)
    if not names:
        return None
    return f"holds NaN or infinite numbers in {len(names)} of {len(weights)} tensors ({list_names(names, _MAX_NAMED)})"


def file_problem(path: Path) -> str | None:
    """What is wrong with the numbers in a file of weights (a plain state dict), as `not_finite_text`; None if nothing.

    What is not a state dict, or cannot be read, is refused by those who load it.
    """
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # noqa: BLE001 - a damaged archive raises what its damage leads to, again where it is loaded
        return None
    return not_finite_text(content) if isinstance(content, Mapping) else None


def load_failure(error: Exception) -> str:
    """Why torch does not load a file, in a few words.

    torch's own advice about pickles is to switch off the check that keeps foreign code from running.
    """
    if isinstance(error, pickle.UnpicklingError):
        return "it is not a file of weights, or holds more than tensors, which could be code"
    if isinstance(error, (OSError, RuntimeError)) and _is_damage(error):
        return "it is cut short or damaged"
    lines = [line.strip() for line in str(error).splitlines()[:2]]
    return " ".join(lines)[:_REASON_LENGTH] or type(error).__name__


def _is_damage(error: Exception) -> bool:
    """Whether torch could not make out the archive: it then fails to map it, or says what it missed in it."""
    return getattr(error, "errno", None) == errno.EINVAL or "PytorchStreamReader" in str(error)


def _is_finite(value: torch.Tensor) -> bool:
    import torch

    return not value.is_floating_point() or bool(torch.isfinite(value).all())
