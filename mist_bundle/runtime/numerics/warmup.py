"""The rule for a learning-rate warm-up that is longer than the run; shared by planning and the schedule."""

from __future__ import annotations

WARMUP_SHARE = 10  # a warm-up that does not fit takes a tenth of the run


def fitting_warmup(warmup_steps: int, total_steps: int) -> int:
    """Number of warm-up steps that fits the run.

    Args:
        warmup_steps: the configured number.
        total_steps: optimizer steps of the whole run.

    Returns:
        `warmup_steps` if the run is longer than that, else a tenth of the run.
    """
    return warmup_steps if warmup_steps < total_steps else total_steps // WARMUP_SHARE
