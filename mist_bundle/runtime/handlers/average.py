"""Put the moving average of the weights, which other parts of the configuration refer to, into a list of handlers.

Consumers of bundles (MONAI's own property check, MONAI Label) want every entry of that list to be a component.
"""

from __future__ import annotations

from ignite.engine import Engine
from ignite.handlers import EMAHandler

from .steps import optimizer_stepped, optimizer_steps

MOMENTUM = "ema_momentum"


def warmed_up(momentum: float, updates: int) -> float:
    """The share of the newest weights in the average after so many updates: never below 9 / (10 + updates).

    An average with a decay of 0.99 still holds a third of the initial weights after 100 steps. With the rule of
    TensorFlow's ExponentialMovingAverage, decay = min(decay, (1 + updates) / (10 + updates)), it covers the last tenth
    of the run until it reaches its decay. It depends on the count alone, so a resumed run goes on as it would have.
    """
    return max(momentum, 9.0 / (10.0 + updates))


class AverageWeights:
    """Attach ignite's moving average of the weights, to be updated once an optimizer step, with a warm-up."""

    def __init__(self, handler: EMAHandler) -> None:
        self.handler = handler

    def attach(self, engine: Engine) -> None:
        """Register the other handler with a SupervisedTrainer."""
        stepped = optimizer_stepped()
        engine.add_event_handler(stepped, self._warm_up)
        self.handler.attach(engine, name=MOMENTUM, event=stepped)

    def _warm_up(self, engine: Engine) -> None:
        setattr(engine.state, MOMENTUM, warmed_up(self.handler.momentum, optimizer_steps(engine)))
