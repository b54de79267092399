"""Learning-rate schedules with warm-up, counted in optimizer steps, that end exactly with the run."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

SHAPES = ("constant", "cosine", "polynomial")


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
        warmup_fraction: part of the run in which the rate rises.
        power: of the polynomial.
    """

    def __init__(
        self, optimizer: Optimizer, shape: str, total_steps: int, warmup_fraction: float = 0.0, power: float = 0.9
    ) -> None:
        if shape not in SHAPES:
            raise ValueError(f"shape is {shape!r}; expected one of {', '.join(SHAPES)}.")
        if not 0 <= warmup_fraction < 1:
            raise ValueError(f"warmup_fraction is {warmup_fraction}; expected 0 or more and less than 1.")
        warmup_steps = int(total_steps * warmup_fraction)
        super().__init__(optimizer, lambda step: rate_factor(step, total_steps, warmup_steps, shape, power))
