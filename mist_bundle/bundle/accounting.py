"""What a pass forward keeps for the pass backward, counted by tensors on the meta device, where none takes memory."""

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
    """Of one pass forward.

    Attributes:
        saved_values: kept for the pass backward, in numbers of four bytes; parameters are not counted.
        flops: of the pass.
        output: what it gave.
    """

    saved_values: float
    flops: float
    output: Any


def account(run: Callable[[], Any], parameters: Iterable[Tensor] = ()) -> Account:
    """Run something once and count what autograd keeps of it; a storage that is kept twice counts once.

    Args:
        run: a pass forward, on any device.
        parameters: tensors that are there anyway.
    """
    own = {parameter.untyped_storage()._cdata for parameter in parameters}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # an address is no name for a storage once that is gone

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
    """A network of the menu without memory for its weights."""
    target = row.target.replace("scripts.", "mist_bundle.runtime.", 1)
    # Swin UNETR computes with numbers while it is built, which the meta device has none of
    with warnings.catch_warnings(), torch.device("cpu" if row.sizing == "swin_unetr" else "meta"):
        warnings.simplefilter("ignore")
        parser = ConfigParser({"network": {"_target_": target, **size.arguments}})
        network: nn.Module = parser.get_parsed_content("network")
    return network.to("meta").train()


def account_network(network: nn.Module, channels: int, patch_size: Sequence[int], batch: int = 1) -> Account:
    """The account of a pass of a network in training."""
    device = next(network.parameters()).device
    image = torch.empty(batch, channels, *patch_size, device=device)
    return account(lambda: network(image), network.parameters())


def per_voxel(found: Account, patch_size: Sequence[int]) -> tuple[float, float]:
    """(saved values, operations) for each voxel of a patch."""
    voxels = prod(patch_size)
    return found.saved_values / voxels, found.flops / voxels
