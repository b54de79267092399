"""From a row of the catalogue to a network of a certain size, and the patches and auxiliary heads that it allows.

The sizing rules themselves are in sizing_rules.py. Pure arithmetic: no torch, no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from mist_bundle.catalog.choice import Choice, find_choice
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.network_size import NetworkSize, SizeRequest
from mist_bundle.planning.recipes import CHOSEN, OFF, Recipe, by_recipe, resolve_option
from mist_bundle.planning.rules import joined
from mist_bundle.planning.sizing_rules import FIXED_STRIDES, SIZING_RULES, TOPOLOGY_RULES
from mist_bundle.planning.topology import fit_patch, unet_topology
from mist_bundle.runtime.numerics.patch_fit import with_deep_bottom
from mist_bundle.runtime.numerics.triples import Triple

if TYPE_CHECKING:
    from mist_bundle.dataset.spec import DatasetSpec
    from mist_bundle.planning.options import PlanOptions

DEFAULT_KERNEL_SIZE = 3


def decide_network(
    spec: DatasetSpec, options: PlanOptions, recipe: Recipe, geometry: Mapping[str, Any], num_outputs: int
) -> dict[str, Any]:
    """Decide the network and its arguments; the result holds these fields of a Plan by name.

    Args:
        spec: dataset description.
        options: the user's options.
        recipe: decides what the user leaves open.
        geometry: the fields that `decide_geometry` decided.
        num_outputs: output channels of the network.
    """
    network = resolve_option("network", options)
    row = find_choice(NETWORKS, network.value)
    residual = _network_option("residual", options, row)
    heads = _network_option("deep_supervision_heads", options, row)
    if recipe.options.deep_supervision_heads == 0 and options.deep_supervision_heads is None:
        heads = Decision(0, by_recipe(options.recipe))
    size = size_network(
        row,
        SizeRequest(
            patch_size=geometry["patch_size"].value,
            spacing_mm=geometry["target_spacing_mm"].value,
            in_channels=spec.num_channels,
            out_channels=num_outputs,
            filters=recipe.filters,
            residual=residual.value,
            kernel_size=options.kernel_size or DEFAULT_KERNEL_SIZE,
            heads=heads.value,
        ),
    )
    if heads.value > size.max_heads:
        heads = Decision(size.max_heads, f"{heads.because} The network has no room for {heads.value}.")
    divisor = size.divisor
    if row.sizing == "user":
        divisor = options.patch_divisor or (1, 1, 1)
    return {
        "network": network,
        "network_arguments": {**size.arguments, **(options.network_arguments or {})},
        "asked_network_arguments": options.network_arguments or None,
        "deep_supervision_weights": decide_head_weights(options.deep_supervision_weights, heads.value),
        "network_branches": _branches(size, heads.value),
        "patch_divisor": divisor,
        "residual": residual,
        "deep_supervision_heads": heads,
        "vae": Decision(bool(options.vae), CHOSEN if options.vae else OFF),
    }


def _network_option(name: str, options: PlanOptions, row: Choice) -> Decision[Any]:
    """An option that only some networks have; networks may have a default of their own."""
    resolved = resolve_option(name, options)
    if resolved.because == CHOSEN:
        return resolved
    if name not in row.takes:
        off = type(resolved.value)(0)  # False, or no heads
        return Decision(off, "Not a choice with this network.")
    if name in row.defaults:
        return Decision(row.defaults[name], "The network's own default.")
    return resolved


def _branches(size: NetworkSize, heads: int) -> dict[str, Any]:
    """Where heads and the VAE branch attach to the network; no head modules if it has heads of its own."""
    return {
        "head_modules": list(size.head_modules[:heads]),
        "head_channels": list(size.head_channels[:heads]),
        "bottleneck": size.bottleneck,
        "strides": list(map(list, size.strides)),
        "widths": list(size.widths),
    }


def size_network(row: Choice, request: SizeRequest) -> NetworkSize:
    """Apply the sizing rule of a row and add the row's fixed arguments."""
    size = SIZING_RULES[row.sizing](row, request)
    channels = {"in_channels": request.in_channels, "out_channels": request.out_channels}
    return replace(
        size,
        arguments={**channels, **row.kwargs, **size.arguments},
        max_heads=size.max_heads or len(size.head_modules),
    )


def fit_network_patch(
    row: Choice, patch_size: Triple, spacing_mm: Sequence[float], user_divisor: Triple | None
) -> tuple[Triple, str]:
    """Fit a patch to what the network takes.

    Networks whose strides follow the patch take the next larger size; those with fixed strides the nearest size, axis
    by axis, so that a small patch does not double because of a few voxels.

    Returns:
        The fitted patch, and why it differs ("" if it does not).
    """
    if row.sizing == "user":
        divisor = user_divisor or (1, 1, 1)
        fitted = _nearest_multiple(patch_size, divisor) if user_divisor else patch_size
        reason = f"the network's patch_divisor is {joined(divisor)}."
    elif row.sizing in FIXED_STRIDES:
        step = prod(FIXED_STRIDES[row.sizing])
        fitted = _nearest_multiple(patch_size, (step, step, step))
        reason = f"the network takes multiples of {step}, and more than {step} on one axis at least."
    else:
        topology = TOPOLOGY_RULES.get(row.sizing, unet_topology)
        fitted = fit_patch(patch_size, spacing_mm, topology)
        fitted = with_deep_bottom(fitted, topology(fitted, spacing_mm).divisor)
        reason = "the network's strides divide it."
    if fitted == tuple(patch_size):
        return fitted, ""
    return fitted, f"Changed from {joined(patch_size)} to {joined(fitted)}: {reason}"


def _nearest_multiple(patch_size: Triple, divisor: Triple) -> Triple:
    """The nearest multiple on each axis, the greater of two that are equally near, and never zero."""
    rounded = []
    for size, part in zip(patch_size, divisor, strict=True):
        parts = (2 * size + part) // (2 * part)
        rounded.append(max(1, parts) * part)
    return with_deep_bottom(rounded, divisor)


def head_weights_problem(count: int, heads: int) -> str:
    """Return the message about a number of loss weights that does not match the number of outputs."""
    return f"holds {count} numbers; expected {heads + 1}: the output itself, then its {heads} auxiliary heads."


def decide_head_weights(by_user: Sequence[float] | None, heads: int) -> Decision[tuple[float, ...]] | None:
    """Decide the weights of the outputs in the loss; None for the default, which halves from head to head.

    Raises:
        InputError: the number of weights differs from the number of outputs.
    """
    if by_user is None:
        return None
    if len(by_user) != heads + 1:
        raise InputError(Problem("--deep_supervision_weights", head_weights_problem(len(by_user), heads)))
    return Decision(tuple(by_user), CHOSEN)
