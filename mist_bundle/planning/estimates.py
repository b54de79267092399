"""What a bundle will cost: memory, time and disk, from its plan and a device's speed. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING

from mist_bundle.errors import Problem
from mist_bundle.planning import rules
from mist_bundle.planning.memory import GB, HOST_BASE_BYTES, USABLE, plan_cost, plan_memory

if TYPE_CHECKING:
    from mist_bundle.planning.plan import Plan

PASSES_OF_A_STEP = rules.PASSES_OF_A_STEP  # backward costs two forward
# of a process that trains on a GPU: CUDA's libraries, and patches that wait; measured nowhere yet
GPU_HOST_BYTES = 3e9
PATCHES_WAITING = 8
GPU_PASS_SECONDS = 0.03  # in which a CPU hands a GPU the thousand kernels of a pass, however small the patch
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
LONG_SECONDS = 7 * DAY  # what nobody waits for on a CPU
MODELLED, MEASURED = "modelled", "measured"


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """How fast a device trains, and what is known of it.

    Attributes:
        device: as people call it.
        is_gpu: rather than the CPU.
        half: it computes in bfloat16 or half precision.
        flops_per_second: of a training.
        memory_gb: of the GPU, or of the machine.
    """

    device: str
    is_gpu: bool
    half: bool
    flops_per_second: float
    memory_gb: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a bundle will cost on one device.

    Attributes:
        device: as people call it.
        memory_gb: that it has.
        device_bytes: at the peak on the GPU; None on a CPU.
        host_bytes: at the peak of the training's process.
        step_seconds: of an optimizer step.
        epoch_seconds: with its share of the validations.
        total_seconds: of the whole cross-validation.
        cache_bytes: of the prepared arrays.
        how: "modelled", or "measured" for what was tried on this machine.
    """

    device: str
    memory_gb: float
    device_bytes: float | None
    host_bytes: float
    step_seconds: float
    epoch_seconds: float
    total_seconds: float
    cache_bytes: float
    how: str = MODELLED

    @property
    def peak_bytes(self) -> float:
        """On the device that trains."""
        return self.host_bytes if self.device_bytes is None else self.device_bytes

    def line(self) -> str:
        """All in one line."""
        where = "" if self.device_bytes is None else f"{as_gb(self.device_bytes)} on it, "
        step = f"{as_time(self.step_seconds)} a step, {as_time(self.epoch_seconds)} an epoch"
        total = f"{as_time(self.total_seconds)} for all folds"
        memory = f"{where}{as_gb(self.host_bytes)} of main memory"
        return f"Estimate for {self.device} ({self.how}): {step}, {total}; {memory}, {as_gb(self.cache_bytes)} of cache"


def model_estimate(plan: Plan, speed: Speed) -> Estimate | None:
    """The estimate of a plan; None for a network that is not on the menu."""
    cost = plan_cost(plan)
    use = plan_memory(plan, on_gpu=speed.is_gpu, half=speed.half)
    if cost is None or use is None:
        return None
    voxels = prod(plan.patch_size.value) * plan.batch_size.value
    step = PASSES_OF_A_STEP * cost.flops * voxels / speed.flops_per_second
    if speed.is_gpu:
        step += GPU_PASS_SECONDS * plan.accumulation_steps.value
    return with_step(plan, speed, step, use.total, MODELLED)


def with_step(plan: Plan, speed: Speed, step_seconds: float, peak_bytes: float, how: str) -> Estimate:
    """The estimate that follows from the seconds of a step and the peak on the device.

    Args:
        plan: of the bundle.
        speed: of the device.
        step_seconds: of an optimizer step.
        peak_bytes: on the device that trains.
        how: "modelled" or "measured".
    """
    epoch = plan.steps_per_epoch.value * step_seconds + validation_seconds(plan, step_seconds)
    waiting = 4 * PATCHES_WAITING * prod(plan.patch_size.value) * plan.batch_size.value * (plan.num_channels + 1)
    return Estimate(
        device=speed.device,
        memory_gb=speed.memory_gb,
        device_bytes=peak_bytes if speed.is_gpu else None,
        host_bytes=HOST_BASE_BYTES + GPU_HOST_BYTES + waiting if speed.is_gpu else peak_bytes + waiting,
        step_seconds=step_seconds,
        epoch_seconds=epoch,
        total_seconds=plan.num_folds * plan.epochs.value * epoch,
        cache_bytes=cache_bytes(plan),
        how=how,
    )


def validation_seconds(plan: Plan, step_seconds: float) -> float:
    """Of validating, spread over the epochs: each window is a pass forward, a third of a patch's training."""
    held_out = ceil(plan.num_cases / plan.num_folds)
    cases = round((plan.num_cases - held_out) * plan.val_fraction.value)
    shape, patch = plan.median_resampled_shape.value, plan.patch_size.value
    windows = cases * rules.sliding_windows(shape, patch, plan.overlap.value)
    return windows * step_seconds / (PASSES_OF_A_STEP * plan.batch_size.value * plan.val_interval.value)


def cache_bytes(plan: Plan) -> float:
    """Of the prepared arrays of all cases: float32 images, a byte for each label, distance maps."""
    values = 4 * plan.num_channels + 1 + (4 * len(plan.output_names) if plan.distance_maps.value else 0)
    return float(plan.num_cases * prod(plan.median_resampled_shape.value) * values)


def estimate_warnings(plan: Plan, estimate: Estimate) -> list[Problem]:
    """What a person should know before the training begins: it does not end, or the machine cannot hold it."""
    if estimate.device_bytes is not None:
        return []
    found = []
    if estimate.total_seconds > LONG_SECONDS and plan.recipe.value != "quick":
        text = f"training all folds would take {as_time(estimate.total_seconds)} on {estimate.device}"
        found.append(Problem("device", f"{text}. --recipe quick takes minutes; or train on a GPU."))
    if estimate.host_bytes > USABLE * estimate.memory_gb * GB:
        text = f"training would take {as_gb(estimate.host_bytes)} of main memory; {estimate.device} has"
        advice = "choose a smaller --patch_size, or train on a GPU"
        found.append(Problem("memory", f"{text} {estimate.memory_gb:.0f} GB. On it, {advice}."))
    return found


def as_gb(count: float) -> str:
    """Bytes as people say them."""
    if count < GB / 10:
        return f"{count / 2**20:.0f} MB"
    return f"{count / GB:.1f} GB" if count < 10 * GB else f"{count / GB:.0f} GB"


def as_time(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    for unit, name, limit in ((MINUTE, "min", 2 * HOUR), (HOUR, "h", 2 * DAY), (DAY, "days", 60 * DAY)):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    months = seconds / (30.4 * DAY)
    return f"{months:.0f} months" if months < 24 else f"{months / 12:.0f} years"
