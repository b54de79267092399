"""How much of a composite loss is its region term, from epoch to epoch."""

from __future__ import annotations

import math

from ignite.engine import Engine, Events

SHAPES = ("constant", "linear", "cosine")
CONSTANT_SHARE = 0.5
PAUSE_EPOCHS = 5  # mist-medical 2.3.0: a schedule begins to fall after the sixth epoch
_SHORTEST_WITH_PAUSE = 4 * PAUSE_EPOCHS


def region_share(epoch: int, epochs: int, shape: str) -> float:
    """The share of the region term in an epoch (0 is the first): 0.5, or from 1 down to 0 at the last epoch.

    A falling schedule holds 1 for the first 6 epochs (mist-medical 2.3.0). A run of less than 20 epochs, of which that
    would be too large a part, holds it for a quarter. Beyond the last epoch, as in federated rounds, it stays at 0.
    """
    if shape == "constant":
        return CONSTANT_SHARE
    pause = PAUSE_EPOCHS if epochs >= _SHORTEST_WITH_PAUSE else epochs // 4
    progress = min(1.0, max(0, epoch - pause) / max(1, epochs - 1 - pause))
    return 1.0 - progress if shape == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))


class CompositeWeighting:
    """Keeps the share of the running epoch. It follows the trainer's epoch, so a resumed run continues where it was.

    Args:
        shape: "constant", "linear" or "cosine".
        epochs: of the whole run.
    """

    def __init__(self, shape: str = "constant", epochs: int = 1) -> None:
        if shape not in SHAPES:
            raise ValueError(f"shape is {shape!r}; expected {', '.join(SHAPES[:-1])} or {SHAPES[-1]}.")
        self.shape = shape
        self.epochs = epochs
        self.share = region_share(0, epochs, shape)

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Take the share of the epoch that begins."""
        self.share = region_share(engine.state.epoch - 1, self.epochs, self.shape)
