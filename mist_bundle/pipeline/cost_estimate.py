"""Memory, time and disk that a bundle will take: by a few steps on this machine, or modelled for another device."""

from __future__ import annotations

import json
import tempfile
from math import ceil, prod
from pathlib import Path
from statistics import median
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.worker import run_worker
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import read_json
from mist_bundle.pipeline.machine import speed_here, speed_of_device
from mist_bundle.pipeline.workflows import open_to_run
from mist_bundle.planning.devices import DEVICES
from mist_bundle.planning.estimates import MEASURED, Estimate, Speed, model_estimate, with_step
from mist_bundle.planning.memory import USABLE, plan_memory
from mist_bundle.planning.plan import Plan
from mist_bundle.runtime.numerics.triples import Triple, triple
from mist_bundle.runtime.wording import GB

WORKER = "mist_bundle.bundle.timing_worker"
STEPS = 3  # that are timed, after one that prepares
LONG_STEP_SECONDS = 20.0  # a step that would take longer is timed on a smaller patch


def estimate(bundle: Path, device: str | None = None, *, steps: int = STEPS, trust: bool = False) -> Estimate:
    """What training all folds of a bundle will take.

    Args:
        bundle: its folder.
        device: a row of `DEVICES`, to be modelled; None for this machine, where a few steps are timed.
        steps: that are timed here; 0 to model this machine too.
        trust: run a bundle that does not pass the audit; nothing is run where a device is named.

    Raises:
        InputError: the device is unknown, the network is the user's own and the device is elsewhere, or the steps fail.
    """
    plan = Bundle(bundle).plan
    if device is None and steps:
        open_to_run(bundle, trust=trust)
        return _measured(bundle, plan, speed_here(), steps)
    if device is not None and device not in DEVICES:
        raise InputError(Problem("--device", f"is {device!r}; known: {', '.join(DEVICES)}. Without it: this machine."))
    modelled = model_estimate(plan, speed_here() if device is None else speed_of_device(device))
    if modelled is None:
        text = f"{plan.network.value!r} is not on the menu, so only a few steps tell what it takes: leave out --device"
        raise InputError(Problem("network", f"{text} on the machine that trains it."))
    return modelled


def _measured(bundle: Path, plan: Plan, speed: Speed, steps: int) -> Estimate:
    """From steps of the bundle's own training; where they would take too long or too much, from a smaller patch."""
    patch, patches = _what_can_be_tried(plan, speed)
    overrides = {"patch_size": list(patch), "batch_size": patches, "accumulation_steps": 1}
    found = time_steps(bundle, overrides, "cuda" if speed.is_gpu else "cpu", steps + 1)
    tried = patches * prod(patch)
    whole = plan.batch_size.value * prod(plan.patch_size.value)
    seconds = median(found["seconds"][1:]) * whole / tried
    peak = float(found["memory_bytes"])
    if tried != plan.patches_per_pass * prod(plan.patch_size.value):
        use = plan_memory(plan, on_gpu=speed.is_gpu, half=speed.half)
        peak = peak if use is None else use.total
    return with_step(plan, speed, seconds, peak, MEASURED)


def _what_can_be_tried(plan: Plan, speed: Speed) -> tuple[Triple, int]:
    """The plan's patch and those of a pass; or one, made smaller, where that is too much for this machine."""
    patch, patches = plan.patch_size.value, plan.patches_per_pass
    modelled = model_estimate(plan, speed)
    if modelled is None:
        return patch, patches
    share = patches / plan.batch_size.value  # of a step, in one pass
    needed = max(
        modelled.step_seconds * share / LONG_STEP_SECONDS,
        modelled.peak_bytes / (USABLE * speed.memory_gb * GB),
    )
    if needed <= 1:
        return patch, patches
    smaller = list(patch)
    while prod(smaller) * needed > patches * prod(patch):
        axis = smaller.index(max(smaller))
        step = plan.patch_divisor[axis]
        if smaller[axis] <= 2 * step:
            break
        smaller[axis] = max(ceil(smaller[axis] / 2 / step), 2) * step
    return triple(smaller), 1


def time_steps(bundle: Path, overrides: dict[str, Any], device: str, steps: int) -> dict[str, Any]:
    """Time training steps in a process of their own: {"seconds": of each, "memory_bytes": its peak, "threads"}.

    Args:
        bundle: its folder.
        overrides: ids of train.json.
        device: "cpu" or "cuda".
        steps: how many.

    Raises:
        InputError: they failed.
    """
    with tempfile.TemporaryDirectory(prefix="mist_bundle_") as folder:
        answer = Path(folder) / "answer.json"
        request = {
            "bundle": str(bundle.absolute()),
            "overrides": json.dumps(overrides),
            "device": device,
            "steps": str(steps),
            "answer": str(answer),
        }
        reason = run_worker(WORKER, request)
        if reason:
            raise InputError(Problem(str(bundle), f"a step of its training was tried and failed: {reason}"))
        found: dict[str, Any] = read_json(answer)
        return found
