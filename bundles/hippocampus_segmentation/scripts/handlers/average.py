"""Put the moving average of the weights, which other parts of the configuration refer to, into a list of handlers.

Consumers of bundles (MONAI's own property check, MONAI Label) want every entry of that list to be a component.
"""

from __future__ import annotations

from ignite.engine import Engine
from ignite.handlers import EMAHandler

from .steps import optimizer_stepped


class AverageWeights:
    """Attach ignite's moving average of the weights, to be updated once an optimizer step."""

    def __init__(self, handler: EMAHandler) -> None:
        self.handler = handler

    def attach(self, engine: Engine) -> None:
        """Register the other handler with a SupervisedTrainer."""
        self.handler.attach(engine, event=optimizer_stepped())
