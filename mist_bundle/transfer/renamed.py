"""Renamed tensors of another program's checkpoints become weights of a network if they are exactly its tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.runtime.wording import list_names

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]


def convert_folds(
    network: torch.nn.Module,
    weights: Mapping[str, Tensors],
    rename: Callable[[str, Tensors, Tensors], tuple[Tensors, list[str]]],
) -> tuple[dict[str, dict[str, torch.Tensor]], list[str]]:
    """Return fold -> state dict of the network, and the names of tensors that only training needs.

    Args:
        network: takes the weights; without auxiliary heads.
        weights: fold -> tensors with the other program's names.
        rename: takes a fold, its tensors and those that the network expects; returns tensors with the network's
            names, and the names of those that only training needs. Raises InputError if they do not fit.

    Raises:
        InputError: tensors that have no place, or are missing, in any fold.
    """
    # MONAI's DynUNet lists most of its tensors a second time, below skip_layers
    expected = {name: value for name, value in network.state_dict().items() if not name.startswith("skip_layers.")}
    problems: list[Problem] = []
    converted: dict[str, dict[str, torch.Tensor]] = {}
    left_out: list[str] = []
    for fold, tensors in weights.items():
        with Collecting(problems):
            renamed, left_out = rename(fold, tensors, expected)
            network.load_state_dict(renamed, strict=False)
            converted[fold] = copy.deepcopy(network.state_dict())  # tensors that are shared stay shared
    if problems:
        raise InputError(problems)
    return converted, left_out


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
