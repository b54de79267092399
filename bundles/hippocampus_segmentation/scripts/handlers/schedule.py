"""Learning-rate schedules with warm-up, counted in optimizer steps, that end exactly with the run."""

from __future__ import annotations

import logging
import math

from ignite.engine import Engine
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from .steps import optimizer_stepped

logger = logging.getLogger(__name__)

SHAPES = ("constant", "cosine", "polynomial")
WARMUP_SHARE = 10  # a warm-up that does not fit takes this part of the run (one tenth)


def rate_factor(step: int, total_steps: int, warmup_steps: int, shape: str, power: float = 0.9) -> float:
    """What the learning rate is multiplied by at a step (0 is the first).

    Rises linearly over `warmup_steps` to 1, then falls by `shape` to 0 at `total_steps` ("constant" stays at 1).
    Beyond the end, as in federated rounds that go on, it stays where it was last.
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if shape == "constant":
        return 1.0
    progress = min(max(step, 0), total_steps - 1) - warmup_steps
    fraction = progress / max(1, total_steps - warmup_steps)
    if shape == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * fraction))
    return float((1.0 - fraction) ** power)


class WarmupSchedule(LambdaLR):
    """`rate_factor` as a torch schedule, to be stepped once an optimizer step.

    Args:
        optimizer: whose rate is scheduled.
        shape: "constant", "cosine" or "polynomial".
        total_steps: optimizer steps of the whole run.
        warmup_steps: steps in which the rate rises; fractions are dropped. A warm-up that is not shorter than the run
            (a run cut short by --epochs, say) is replaced by a tenth of the run, with a message.
        power: of the polynomial.
    """

    def __init__(
        self, optimizer: Optimizer, shape: str, total_steps: int, warmup_steps: float = 0, power: float = 0.9
    ) -> None:
        if shape not in SHAPES:
            raise ValueError(f"shape is {shape!r}; expected one of {', '.join(SHAPES)}.")
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps is {warmup_steps}; expected 0 or more.")
        rising = int(warmup_steps)
        if rising >= total_steps:
            if rising > 0:
                logger.warning(
                    "A warm-up of %d steps does not fit a run of %d; it takes %d steps instead.",
                    *(rising, total_steps, total_steps // WARMUP_SHARE),
                )
            rising = total_steps // WARMUP_SHARE
        super().__init__(optimizer, lambda step: rate_factor(step, total_steps, rising, shape, power))


class ScheduleStepper:
    """Step a schedule after each step of the optimizer, which with accumulated gradients is not every iteration."""

    def __init__(self, lr_scheduler: LRScheduler) -> None:
        self.lr_scheduler = lr_scheduler

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        engine.add_event_handler(optimizer_stepped(), self)

    def __call__(self, engine: Engine) -> None:
        """Go on to the next rate."""
        self.lr_scheduler.step()
