"""Run the network in bfloat16 where the hardware computes in it, and nothing else.

MONAI's engines know only autocast on CUDA in half precision with a gradient scaler. Wrapping the inferer instead gives
bfloat16 on GPUs and CPUs alike, keeps the loss in float32 and needs no scaler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch


def has_bfloat16(device: torch.device | str) -> bool:
    """Whether `device` has instructions for bfloat16 (emulation would be slower than float32)."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_available() and torch.cuda.get_device_capability(device)[0] >= 8
    if kind == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


class AutocastInferer:
    """Call another inferer under bfloat16 autocast; the result is float32.

    Args:
        inferer: what does the work, for example MONAI's SimpleInferer or SlidingWindowInferer.
        enabled: True, False, or "auto" for bfloat16 where the device has instructions for it.
    """

    def __init__(self, inferer: Callable[..., torch.Tensor], enabled: bool | str = "auto") -> None:
        if enabled not in (True, False, "auto"):
            raise ValueError(f"amp is {enabled!r}; expected true, false or 'auto'.")
        self.inferer = inferer
        self.enabled = enabled

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """Run `inferer(inputs, network)`; same shapes in and out as that inferer."""
        enabled = has_bfloat16(inputs.device) if self.enabled == "auto" else bool(self.enabled)
        if not enabled:
            return self.inferer(inputs, network, *args, **kwargs)
        with torch.autocast(inputs.device.type, dtype=torch.bfloat16):
            output = self.inferer(inputs, network, *args, **kwargs)
        converted: torch.Tensor = _as_float(output)
        return converted


def _as_float(output: Any) -> Any:
    """The same, every tensor in float32: networks in training return several outputs, or outputs and a penalty."""
    if isinstance(output, torch.Tensor):
        return output.float()
    if isinstance(output, Mapping):
        return {name: _as_float(value) for name, value in output.items()}
    return [_as_float(value) for value in output]
