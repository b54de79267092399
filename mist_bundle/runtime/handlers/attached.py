"""Put a handler that other parts of the configuration refer to into a list of handlers.

Consumers of bundles (MONAI's own property check, MONAI Label) require every entry of that list to be a component.
"""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine


class Attached:
    """Attach another handler, for example the moving average of the weights."""

    def __init__(self, handler: Any) -> None:
        self.handler = handler

    def attach(self, engine: Engine) -> None:
        """Register the other handler."""
        self.handler.attach(engine)
