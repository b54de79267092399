"""The loss of a network that brings a penalty of its own along (see networks/vae.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn


class RegularizedLoss(nn.Module):
    """Another loss, plus the penalty that the network computed.

    Args:
        loss: takes what the network returned without the penalty, and the target.
    """

    def __init__(self, loss: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, prediction: Any, *target: Any) -> torch.Tensor:
        """Loss of {"heads": output, "penalty": scalar}, or of a plain output, which has no penalty."""
        if isinstance(prediction, Mapping):
            penalty: torch.Tensor = prediction["penalty"]
            return self.loss(prediction["heads"], *target) + penalty
        return self.loss(prediction, *target)
