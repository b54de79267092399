"""Run the network in bfloat16 or half precision where the hardware computes in it, and nothing else.

MONAI's engines know only autocast on CUDA with a gradient scaler. Wrapping the inferer instead gives bfloat16 on GPUs
and CPUs alike, keeps the loss in float32 and needs no scaler. Half precision (fp16) needs a scaler in training: MONAI's
trainer brings it when its `amp` is true, which the configuration sets for this precision only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch

logger = logging.getLogger(__name__)

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def has_tensor_cores(device: torch.device | str) -> bool:
    """Whether `device` is a GPU whose half precision is much faster than float32 (Volta and later)."""
    is_cuda = torch.device(device).type == "cuda" and torch.cuda.is_available()
    return is_cuda and torch.cuda.get_device_capability(device)[0] >= 7


def has_bfloat16(device: torch.device | str) -> bool:
    """Whether `device` has instructions for bfloat16 (emulation would be slower than float32)."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_available() and torch.cuda.get_device_capability(device)[0] >= 8
    if kind == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def autocast_dtype(precision: bool | str, device: torch.device | str) -> torch.dtype | None:
    """The type that a device shall compute in; None for float32.

    Args:
        precision: "fp32" or False, "bf16" or True, "fp16", or "auto": bfloat16 where the device has instructions for
            it, else half precision on GPUs with tensor cores (V100, T4), else float32. Half precision elsewhere than on
            CUDA becomes "auto", with a message: there is no gradient scaler and nothing gained.
        device: where the network runs.
    """
    if precision == "fp16":
        if torch.device(device).type == "cuda":
            return torch.float16
        _say_once(f"Precision fp16 needs a CUDA device; on {torch.device(device).type} 'auto' is used instead.")
        precision = "auto"
    if precision == "auto":
        if has_bfloat16(device):
            return torch.bfloat16
        return torch.float16 if has_tensor_cores(device) else None
    return torch.bfloat16 if precision in (True, "bf16") else None


@lru_cache(maxsize=8)
def _say_once(message: str) -> None:
    logger.warning(message)


class AutocastInferer:
    """Call another inferer under autocast; the result is float32.

    Args:
        inferer: what does the work, for example MONAI's SimpleInferer or SlidingWindowInferer.
        enabled: "auto", "fp32", "bf16", "fp16", or True (bf16) and False (fp32); see `autocast_dtype`.
    """

    def __init__(self, inferer: Callable[..., Any], enabled: bool | str = "auto") -> None:
        enabled = {"true": True, "false": False}.get(str(enabled).lower(), enabled)  # words of the command line
        if not (isinstance(enabled, bool) or enabled in PRECISIONS):
            raise ValueError(f"precision is {enabled!r}; expected {', '.join(PRECISIONS)}, true or false.")
        self.inferer = inferer
        self.enabled = enabled

    def needs_scaler(self, device: torch.device | str) -> bool:
        """Whether training on `device` needs a gradient scaler: small gradients vanish in half precision alone."""
        return autocast_dtype(self.enabled, device) is torch.float16

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `inferer(inputs, network)`; same shapes in and out as that inferer."""
        dtype = autocast_dtype(self.enabled, inputs.device)
        # Switched off explicitly: the caller may have autocast on already. No cache: autocast keeps a low-precision
        # copy of each weight until its context ends, and would go on using it after the folds are swapped.
        with torch.autocast(
            inputs.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None, cache_enabled=False
        ):
            output = self.inferer(inputs, network, *args, **kwargs)
        return _as_float(output)


def _as_float(output: Any) -> Any:
    """The same, every tensor in float32: networks in training return several outputs, or outputs and a penalty."""
    if isinstance(output, torch.Tensor):
        return output.float() if output.is_floating_point() else output
    if isinstance(output, Mapping):
        return {name: _as_float(value) for name, value in output.items()}
    return [_as_float(value) for value in output]
