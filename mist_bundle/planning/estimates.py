"""Estimates of the memory, time and disk space that a bundle needs, from its plan and the device. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING

from mist_bundle.errors import Problem
from mist_bundle.planning import rules
from mist_bundle.planning.memory import HOST_BASE_BYTES, USABLE, plan_cost, plan_memory
from mist_bundle.runtime.wording import DAY, GB, as_gb, as_time

if TYPE_CHECKING:
    from mist_bundle.planning.plan import Plan

PASSES_OF_A_STEP = rules.PASSES_OF_A_STEP  # a backward pass costs two forward passes
# main memory of a process that trains on a GPU: CUDA's libraries and waiting patches; not measured yet
GPU_HOST_BYTES = 3e9
PATCHES_WAITING = 8
GPU_PASS_SECONDS = 0.03  # to launch the thousand kernels of a pass, however small the patch
# On a CPU a step of the smallest network takes this: the loader, the optimizer and the progress.
CPU_PASS_SECONDS = 0.02
LONG_SECONDS = 7 * DAY  # a training on a CPU that nobody waits for
MODELLED, MEASURED = "modelled", "measured"


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """Speed and memory of a device.

    Attributes:
        device: name for people.
        is_gpu: whether it is a GPU rather than the CPU.
        half: whether it computes in bfloat16 or half precision.
        flops_per_second: operations per second of a training.
        memory_gb: memory of the GPU, or of the machine.
    """

    device: str
    is_gpu: bool
    half: bool
    flops_per_second: float
    memory_gb: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Estimated costs of a bundle on a device.

    Attributes:
        device: name for people.
        memory_gb: memory of the device.
        device_bytes: peak memory on the GPU; None on a CPU.
        host_bytes: peak main memory of the training process.
        step_seconds: time of an optimizer step.
        epoch_seconds: time of an epoch, with its share of the validations.
        total_seconds: time of the whole cross-validation.
        cache_bytes: size of the prepared arrays.
        how: "modelled", or "measured" on this machine.
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
        """Peak memory on the device that trains."""
        return self.host_bytes if self.device_bytes is None else self.device_bytes

    def line(self) -> str:
        """Return all values in a single line."""
        where = "" if self.device_bytes is None else f"{as_gb(self.device_bytes)} on it, "
        step = f"{as_time(self.step_seconds)} a step, {as_time(self.epoch_seconds)} an epoch"
        total = f"{as_time(self.total_seconds)} for all folds"
        memory = f"{where}{as_gb(self.host_bytes)} of main memory"
        return f"Estimate for {self.device}, {self.how}: {step}, {total}; {memory}, {as_gb(self.cache_bytes)} of cache"


def model_estimate(plan: Plan, speed: Speed) -> Estimate | None:
    """Estimate the costs of a plan; None for a network that is not on the menu."""
    cost = plan_cost(plan)
    use = plan_memory(plan, on_gpu=speed.is_gpu, half=speed.half)
    if cost is None or use is None:
        return None
    voxels = prod(plan.patch_size.value) * plan.batch_size.value
    step = PASSES_OF_A_STEP * cost.flops * voxels / speed.flops_per_second
    pass_seconds = GPU_PASS_SECONDS if speed.is_gpu else CPU_PASS_SECONDS
    step += pass_seconds * plan.accumulation_steps.value
    return with_step(plan, speed, step, use.total, MODELLED)


def with_step(plan: Plan, speed: Speed, step_seconds: float, peak_bytes: float, how: str) -> Estimate:
    """Return the estimate that follows from the time of a step and the peak memory on the device.

    Args:
        plan: plan of the bundle.
        speed: speed and memory of the device.
        step_seconds: time of an optimizer step.
        peak_bytes: peak memory on the device that trains.
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
    """Return the time of validation per epoch; a window is a forward pass, a third of the training of a patch."""
    held_out = ceil(plan.num_cases / plan.num_folds)
    cases = round((plan.num_cases - held_out) * plan.val_fraction.value)
    shape, patch = plan.median_resampled_shape.value, plan.patch_size.value
    windows = cases * rules.sliding_windows(shape, patch, plan.overlap.value)
    return windows * step_seconds / (PASSES_OF_A_STEP * plan.batch_size.value * plan.val_interval.value)


def cache_bytes(plan: Plan) -> float:
    """Return the size of all prepared arrays: float32 images, a byte per label voxel, distance maps."""
    values = 4 * plan.num_channels + 1 + (4 * len(plan.output_names) if plan.distance_maps.value else 0)
    return float(plan.num_cases * prod(plan.median_resampled_shape.value) * values)


def estimate_warnings(plan: Plan, estimate: Estimate) -> list[Problem]:
    """Warn of a training on a CPU that takes too long or does not fit into main memory."""
    if estimate.device_bytes is not None:
        return []
    warnings = []
    if estimate.total_seconds > LONG_SECONDS and plan.recipe.value != "quick":
        text = f"training all folds would take {as_time(estimate.total_seconds)} on {estimate.device}"
        warnings.append(Problem("device", f"{text}. --recipe quick takes minutes; or train on a GPU."))
    if estimate.host_bytes > USABLE * estimate.memory_gb * GB:
        text = f"training would take {as_gb(estimate.host_bytes)} of main memory; {estimate.device} has"
        advice = "choose a smaller --patch_size, or train on a GPU"
        warnings.append(Problem("memory", f"{text} {estimate.memory_gb:.0f} GB. On it, {advice}."))
    return warnings
