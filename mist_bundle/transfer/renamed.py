"""Whether the renamed tensors of another program's checkpoint are exactly those of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mist_bundle.errors import Problem
from mist_bundle.runtime.wording import list_names

if TYPE_CHECKING:
    import torch


def misfits(
    renamed: Mapping[str, torch.Tensor],
    target: Mapping[str, torch.Tensor],
    place: str,
    network: str,
    unknown: Sequence[str] = (),
) -> list[Problem]:
    """List what keeps tensors from being those of a network, each tensor by its name.

    Args:
        renamed: tensors with the network's names.
        target: state dict of the network.
        place: the file, for messages.
        network: name of the network, for messages.
        unknown: names of tensors that could not be renamed.
    """
    problems = []
    without_place = [*unknown, *sorted(set(renamed) - set(target))]
    missing = sorted(set(target) - set(renamed))
    if without_place:
        problems.append(Problem(place, f"holds tensors without a place in {network}: {list_names(without_place)}."))
    if missing:
        problems.append(Problem(place, f"lacks tensors of {network}: {list_names(missing)}."))
    for name in sorted(set(renamed) & set(target)):
        if renamed[name].shape != target[name].shape:
            shapes = f"{list(renamed[name].shape)}; the network has {list(target[name].shape)}"
            problems.append(Problem(place, f"has {name} of shape {shapes}."))
    return problems
