"""The memory of a training, and the patch that fits. Pure arithmetic: no torch.

A step holds weights, gradients and the optimizer's state, the values that network and loss keep for the backward pass
(costs.py), and the working memory of the backward pass at its widest layer. Under autocast most values take two bytes
instead of four. docs/scaling.md compares the model with measured peaks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING

from mist_bundle.catalog.choice import find_choice
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.errors import Problem
from mist_bundle.planning.costs import NetworkCost, loss_values, network_cost
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.network_size import NetworkSize
from mist_bundle.planning.networks import fit_network_patch
from mist_bundle.planning.recipes import CHOSEN
from mist_bundle.planning.rules import joined
from mist_bundle.runtime.numerics.triples import Triple, triple
from mist_bundle.runtime.wording import GB, as_gb

if TYPE_CHECKING:
    from mist_bundle.planning.plan import Plan

DEFAULT_GB = 24.0  # without a GPU on this machine: the memory of common cards
# The rest is lost to fragmentation and other programs. nnU-Net's presets leave room themselves: that for 24 GB takes
# 22.7 GB (Isensee et al., arXiv 2404.09556).
USABLE = 0.9
LEAST_BATCH = 2  # nnU-Net reduces the patch before it goes below this
FLOAT, HALF = 4, 2
# Layers of full resolution that exist at once in the backward pass: the gradients of a concatenation (two), of the
# layer before it, and the working memory of a convolution. Measured on CPUs: 3 to 5 (docs/scaling.md).
BACKWARD_LAYERS = 4.5
HOST_BASE_BYTES = 0.6e9  # Python with torch and MONAI; measured
DEVICE_BASE_BYTES = 1.0e9  # CUDA's context and cuDNN's working memory
STATE_VALUES = {"adam": 2, "adamw": 2, "sgd": 1, "sgd-nnunet": 1}  # of each weight
# share of values that autocast halves; it keeps attention and normalisation of Swin UNETR in float32 (counted on a CPU)
HALF_SHARE = {"swin_unetr": 0.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryUse:
    """Bytes at the peak of a training step.

    Attributes:
        weights: weights with gradients, optimizer state and moving averages.
        activations: values that the network keeps for the backward pass.
        loss: values that the loss keeps for the backward pass.
        backward: working memory of the backward pass.
        base: memory of the libraries.
    """

    weights: float
    activations: float
    loss: float
    backward: float
    base: float

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return self.weights + self.activations + self.loss + self.backward + self.base


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """Changes of a plan that make it fit.

    Attributes:
        patch_size: patch size of the training.
        accumulation_steps: passes of a step.
    """

    patch_size: Decision[Triple]
    accumulation_steps: Decision[int]


# the same plan with another patch
Resized = Callable[[Decision[Triple]], "Plan"]


def plan_cost(plan: Plan) -> NetworkCost | None:
    """Return the cost of a plan's network; None for the user's own networks."""
    row = find_choice(NETWORKS, plan.network.value)
    branches = plan.network_branches
    size = NetworkSize(
        arguments=dict(plan.network_arguments),
        strides=tuple(triple(stride) for stride in branches["strides"]),
        widths=tuple(branches["widths"]),
        bottleneck=str(branches["bottleneck"]),
    )
    channels = (plan.num_channels, len(plan.output_names))
    return network_cost(plan.network.value, row, size, channels, residual=plan.residual.value, vae=plan.vae.value)


def plan_memory(plan: Plan, *, on_gpu: bool = True, half: bool = True) -> MemoryUse | None:
    """Return the peak memory of a training step; None for a network that is not on the menu.

    Args:
        plan: plan of the bundle.
        on_gpu: whether a GPU trains rather than the CPU.
        half: whether the device computes in bfloat16 or half precision, unless the plan forbids it.
    """
    cost = plan_cost(plan)
    if cost is None:
        return None
    half = half and plan.precision.value != "fp32"
    sizing = find_choice(NETWORKS, plan.network.value).sizing
    share = HALF_SHARE.get(sizing, 1.0) if half else 0.0
    value_bytes = HALF * share + FLOAT * (1 - share)
    voxels = plan.patches_per_pass * prod(plan.patch_size.value)
    copies = 2 + STATE_VALUES.get(plan.optimizer.value, 2) + (1 if plan.ema_decay.value else 0)
    outputs, heads = len(plan.output_names), plan.deep_supervision_heads.value + 1
    images = FLOAT * voxels * (plan.num_channels + (outputs if plan.distance_maps.value else 0))
    return MemoryUse(
        weights=cost.parameters * (FLOAT * copies + (HALF if half else 0)),
        activations=voxels * cost.saved_values * value_bytes + images,
        loss=FLOAT * voxels * heads * _loss_values(plan.loss.value, outputs),
        backward=voxels * cost.widest * BACKWARD_LAYERS * value_bytes,
        base=DEVICE_BASE_BYTES if on_gpu else HOST_BASE_BYTES,
    )


def _loss_values(name: str, outputs: int) -> float:
    """Values that a loss keeps for each voxel of each head; a composite keeps those of both its parts."""
    base = find_choice(LOSSES, name).base
    return loss_values(name, outputs) + (_loss_values(base, outputs) if base else 0)


def fits(plan: Plan, memory_gb: float) -> bool:
    """Return whether a training step fits into the memory; True for networks of unknown cost."""
    use = plan_memory(plan)
    usable = 1.0 if find_choice(NETWORKS, plan.network.value).memory_gb else USABLE
    return use is None or use.total <= usable * memory_gb * GB


def fit_to_memory(plan: Plan, memory_gb: float, resized: Resized) -> Fitted | None:
    """Return the changes that make a step fit into the memory; None if it fits, or if the user chose the patch.

    First the patches of a step are computed in more passes, down to two at once, which leaves the step unchanged.
    Then, as in nnU-Net, the patch shrinks on the axis on which it covers most of the median image until it fits.

    Args:
        plan: the recipe's plan.
        memory_gb: memory of the device.
        resized: returns the same plan with another patch.
    """
    if fits(plan, memory_gb):
        return None
    before = plan_memory(plan)
    if before is None:
        return None
    passes = plan.accumulation_steps
    if passes.because != CHOSEN and plan.patches_per_pass > LEAST_BATCH:
        for count in range(passes.value + 1, ceil(plan.batch_size.value / LEAST_BATCH) + 1):
            text = f"{plan.patches_per_pass} at once would take {as_gb(before.total)}; --memory is {memory_gb:g} GB."
            passes = Decision(count, text)
            if fits(dataclasses.replace(plan, accumulation_steps=passes), memory_gb):
                return Fitted(patch_size=plan.patch_size, accumulation_steps=passes)
    if plan.patch_size.because.startswith(CHOSEN):
        return None
    original = plan.patch_size
    smaller = _smaller_until_fitting(dataclasses.replace(plan, accumulation_steps=passes), memory_gb, resized)
    first = f"{original.because} Reduced from {joined(original.value)}: {plan.patches_per_pass} such patches would take"
    text = f"{first} {as_gb(before.total)} of GPU memory; these fit into {memory_gb:g} GB (nnU-Net's rule)."
    return Fitted(patch_size=Decision(smaller, text), accumulation_steps=passes)


def _smaller_until_fitting(plan: Plan, memory_gb: float, resized: Resized) -> Triple:
    row = find_choice(NETWORKS, plan.network.value)
    median = plan.median_resampled_shape.value
    spacing = plan.target_spacing_mm.value
    while not fits(plan, memory_gb):
        patch = plan.patch_size.value
        smaller = _next_smaller(patch, median, plan.patch_divisor)
        fitted, _ = fit_network_patch(row, smaller, spacing, None)
        if prod(fitted) >= prod(patch):
            break  # as small as the network takes
        plan = dataclasses.replace(
            resized(Decision(fitted, plan.patch_size.because)), accumulation_steps=plan.accumulation_steps
        )
    return plan.patch_size.value


def _next_smaller(patch: Triple, median: Triple, divisor: Triple) -> Triple:
    """Shrink the axis that covers most of the median image, among the axes that can shrink."""
    covered = []
    for axis in range(3):
        can_lose = patch[axis] > divisor[axis]
        covered.append(patch[axis] / median[axis] if can_lose else 0.0)
    axis = covered.index(max(covered))
    smaller = list(patch)
    smaller[axis] -= divisor[axis]
    smaller[axis] = max(1, smaller[axis])
    return triple(smaller)


def memory_warnings(plan: Plan, memory_gb: float) -> list[Problem]:
    """Warn of a plan that does not fit: with the user's or another bundle's patch, or with the smallest patch."""
    use = plan_memory(plan)
    if use is None or fits(plan, memory_gb):
        return []
    patch = f"{plan.patches_per_pass} patches of {joined(plan.patch_size.value)} at once"
    text = f"{patch} would take {as_gb(use.total)} of GPU memory, more than fits into {memory_gb:g} GB"
    return [Problem("patch_size", f"{text}; choose a smaller --patch_size, or more --accumulation_steps.")]
