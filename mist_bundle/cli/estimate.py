"""The verb that says beforehand what a training will take."""

from __future__ import annotations

from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.api.kinds import FileName
from mist_bundle.cli.words import printed_warnings


@takes(mb.Bundle.estimate)
def estimate(bundle: FileName, **arguments: Any) -> None:
    """Estimate what training all folds will take: memory, seconds a step and an epoch, days, disk.

    Args:
        bundle: the bundle's folder, trained or not.
    """
    from mist_bundle.runtime.wording import as_gb, as_time

    opened = mb.Bundle(bundle)
    plan = opened.plan
    with printed_warnings():
        found = opened.estimate(**arguments)
    of_device = "" if found.device_bytes is None else f"{as_gb(found.device_bytes)} of {found.memory_gb:g} GB"
    rows = {
        "device": f"{found.device}, {found.how}",
        "GPU memory, peak": of_device,
        "main memory, peak": as_gb(found.host_bytes),
        "optimizer step": as_time(found.step_seconds),
        "epoch": f"{as_time(found.epoch_seconds)} ({plan.steps_per_epoch.value} steps, and its share of validation)",
        "all folds": f"{as_time(found.total_seconds)} ({plan.num_folds} folds of {plan.epochs.value} epochs)",
        "cache on disk": as_gb(found.cache_bytes),
    }
    for name, value in rows.items():
        if value:
            print(f"{name:<20}{value}")
