"""Learning-rate schedules with warm-up, counted in optimizer steps, that end exactly with the run."""

from __future__ import annotations

import logging
import math
from typing import Any

from ignite.engine import Engine, Events
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from ..numerics.warmup import fitting_warmup
from .steps import optimizer_stepped, steps_per_epoch

logger = logging.getLogger(__name__)

SHAPES = ("constant", "cosine", "polynomial")


def rate_factor(step: int, total_steps: int, warmup_steps: int, shape: str, power: float = 0.9) -> float:
    """What the learning rate is multiplied by at a step (0 is the first).

    Rises linearly over `warmup_steps` to 1, then falls by `shape` to 0 at `total_steps` ("constant" stays at 1).
    Beyond the end it stays where it was last.
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
    """`rate_factor` as a torch schedule; step it once per optimizer step.

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
            raise ValueError(f"shape is {shape!r}; expected {', '.join(SHAPES[:-1])} or {SHAPES[-1]}.")
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps is {warmup_steps}; expected 0 or more.")
        chosen = int(warmup_steps)
        rising = fitting_warmup(chosen, total_steps)
        if chosen > 0 and rising != chosen:
            message = "A warm-up of %d steps does not fit a run of %d; it takes %d steps instead."
            logger.warning(message, chosen, total_steps, rising)
        self.shape = shape
        self.power = power
        self.first_step = 0
        self.total_steps = total_steps
        self.warmup_steps = rising
        super().__init__(optimizer, lambda step: self._factor(step))

    def _factor(self, step: int) -> float:
        return rate_factor(step - self.first_step, self.total_steps, self.warmup_steps, self.shape, self.power)

    @property
    def is_over(self) -> bool:
        """Whether all steps of the schedule have been taken."""
        return int(self.last_epoch) - self.first_step >= self.total_steps

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at a saved step, over the steps of this run: a resumed run may have more epochs than before."""
        shape, power = self.shape, self.power
        total_steps, warmup_steps = self.total_steps, self.warmup_steps
        super().load_state_dict(state_dict)
        if self.first_step == 0:  # else it was restarted, over steps that no configuration knows
            self.shape, self.power = shape, power
            self.total_steps, self.warmup_steps = total_steps, warmup_steps

    def restart(self, total_steps: int) -> None:
        """Begin the shape again at the full rate, for `total_steps` more steps and without a second warm-up."""
        self.first_step = int(self.last_epoch)
        self.total_steps = total_steps
        self.warmup_steps = 0
        self._last_lr = []
        for group, base_rate in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = base_rate * self._factor(self.first_step)
            self._last_lr.append(group["lr"])


class ScheduleStepper:
    """Step a schedule after each step of the optimizer, which with accumulated gradients is not every iteration.

    A run that continues after the last planned step, as each further round of federated learning does, starts the
    schedule again over the steps of that round: at its last rate, close to zero, it would learn nothing.
    """

    def __init__(self, lr_scheduler: LRScheduler) -> None:
        self.lr_scheduler = lr_scheduler

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(optimizer_stepped(), self)

    def _begin(self, engine: Engine) -> None:
        schedule = self.lr_scheduler
        if isinstance(schedule, WarmupSchedule) and schedule.is_over:
            epochs = (engine.state.max_epochs or 0) - engine.state.epoch
            schedule.restart(epochs * steps_per_epoch(engine))

    def __call__(self, engine: Engine) -> None:
        """Go to the next rate."""
        self.lr_scheduler.step()
