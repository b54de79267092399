"""The rule for a warm-up of the learning rate that does not fit its run; planning and the schedule share it."""

from __future__ import annotations

WARMUP_SHARE = 10  # such a warm-up takes this part of the run: one tenth


def fitting_warmup(warmup_steps: int, total_steps: int) -> int:
    """Steps of the warm-up.

    Args:
        warmup_steps: as they were chosen.
        total_steps: optimizer steps of the whole run.

    Returns:
        `warmup_steps` where they are fewer than the run has, else a tenth of the run.
    """
    return warmup_steps if warmup_steps < total_steps else total_steps // WARMUP_SHARE
