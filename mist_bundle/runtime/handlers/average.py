"""Update the moving average of the weights after each optimizer step, with a warm-up.

Other parts of the configuration refer to ignite's EMAHandler, and consumers of bundles (MONAI's own property check,
MONAI Label) require every entry of a list of handlers to be a component: so this handler wraps it.
"""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Engine
from ignite.handlers import EMAHandler

from .steps import optimizer_stepped, optimizer_steps


def warmed_up(momentum: float, updates: int) -> float:
    """The share of the newest weights in the average after so many updates: never below 9 / (10 + updates).

    An average with a decay of 0.99 still holds a third of the initial weights after 100 steps. With the rule of
    TensorFlow's ExponentialMovingAverage, decay = min(decay, (1 + updates) / (10 + updates)), it covers the last tenth
    of the run until it reaches its decay. It depends on the count alone, so a resumed run continues as it would have.
    """
    return max(momentum, 9.0 / (10.0 + updates))


class AverageWeights:
    """Update ignite's moving average of the weights once per optimizer step, with a warm-up."""

    def __init__(self, handler: EMAHandler) -> None:
        self.handler = handler

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        engine.add_event_handler(optimizer_stepped(), self)

    def __call__(self, engine: Engine) -> None:
        """Move the average a step towards the weights: all parameters at once, where ignite loops over them."""
        momentum = warmed_up(self.handler.momentum, optimizer_steps(engine))
        averaged: Any = self.handler.ema_model
        network: Any = self.handler.model
        with torch.no_grad():
            torch._foreach_lerp_(list(averaged.parameters()), list(network.parameters()), momentum)
            for own, current in zip(averaged.buffers(), network.buffers(), strict=True):
                own.copy_(current)
