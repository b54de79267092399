"""What a forward pass keeps for the backward pass, counted on the meta device, whose tensors take no memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mist_bundle.catalog.choice import Choice
from mist_bundle.planning.network_size import NetworkSize

FLOAT_BYTES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Account of a forward pass.

    Attributes:
        saved_values: values kept for the backward pass, in units of four bytes, without parameters.
        flops: operations of the pass.
        output: result of the pass.
    """

    saved_values: float
    flops: float
    output: Any


def account(run: Callable[[], Any], parameters: Iterable[Tensor] = ()) -> Account:
    """Run a forward pass and count what autograd keeps of it; a storage that is kept twice counts once.

    Args:
        run: the forward pass, on any device.
        parameters: tensors that do not count.
    """
    own = {parameter.untyped_storage()._cdata for parameter in parameters}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # the address of a freed storage may be reused by another

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage.nbytes()
            alive.append(tensor)
        return tensor

    counter = FlopCounterMode(display=False)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), counter:
        output = run()
    return Account(saved_values=sum(kept.values()) / FLOAT_BYTES, flops=counter.get_total_flops(), output=output)


def meta_network(row: Choice, size: NetworkSize) -> nn.Module:
    """Build a network of the menu on the meta device, without memory for its weights."""
    target = row.target_for(size.arguments).replace("scripts.", "mist_bundle.runtime.", 1)
    # Swin UNETR computes with values in its constructor, which the meta device does not have
    with warnings.catch_warnings(), torch.device("cpu" if row.sizing == "swin_unetr" else "meta"):
        warnings.simplefilter("ignore")
        parser = ConfigParser({"network": {"_target_": target, **size.arguments}})
        network: nn.Module = parser.get_parsed_content("network")
    return network.to("meta").train()


def account_network(network: nn.Module, channels: int, patch_size: Sequence[int], batch: int = 1) -> Account:
    """Return the account of a forward pass of a network in training."""
    device = next(network.parameters()).device
    image = torch.empty(batch, channels, *patch_size, device=device)
    return account(lambda: network(image), network.parameters())


def per_voxel(total: Account, patch_size: Sequence[int]) -> tuple[float, float]:
    """Return saved values and operations per voxel of a patch."""
    voxels = prod(patch_size)
    return total.saved_values / voxels, total.flops / voxels
