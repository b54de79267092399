"""Carry weights over from one network to another, by name and shape, and account for every tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.finetune import same_name
from mist_bundle.planning.plan import Plan
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.transfer.account import ADAPTED, LOADED, NEW, SKIPPED, UNUSED, Match, Row, Transfer
from mist_bundle.transfer.axes import Axes, build_network, find_axes
from mist_bundle.transfer.open_source import SourceBundle
from mist_bundle.transfer.tensors import read_weights

if TYPE_CHECKING:
    import torch
    from torch import nn

AUXILIARY_HEADS = "auxiliary_heads"  # what runtime/networks/heads.py adds to a network while it is trained


def transfer_weights(source: SourceBundle, plan: Plan, strategy: str | None) -> Transfer:
    """The initial weights of the network of `plan`, taken from `source` as far as they fit.

    Args:
        source: the opened source.
        plan: from planning.finetune.adapt_plan.
        strategy: "average", "first" or "skip" for channels without a namesake; None takes the channels in order where
            there are as many and no name agrees, and averages otherwise.

    Raises:
        InputError: the weights cannot be read, or none of them fits.
    """
    import torch

    tensors = read_weights(source.weights)
    channels, factor = match_channels(source.model.channel_names, plan.channel_names, strategy)
    classes = match_classes(source.model.class_names, plan.output_names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        network = build_network(plan.network_arguments, source.model.target)
    axes = find_axes(source.model.target, plan.network_arguments, network)
    carrier = _Carrier(channels=channels, factor=factor, classes=classes, source=source)
    weights: dict[str, torch.Tensor] = {}
    rows: list[Row] = []
    for name, fresh in _own_tensors(network).items():
        weights[name], row = carrier.carry(name, fresh, tensors.get(name), axes[name])
        rows.append(row)
    rows += _head_rows(plan)
    rows += _unused_rows(tensors, network)
    transfer = Transfer(
        weights=weights,
        rows=tuple(rows),
        channels=channels,
        classes=classes,
        channel_factor=factor,
        source_sha256=sha256_of(source.weights),
    )
    if transfer.count(LOADED) + transfer.count(ADAPTED) == 0:
        network_name = source.model.target.rpartition(".")[2]
        message = f"none of its {len(tensors)} tensors fits the network {network_name}."
        raise InputError(Problem(source.origin, message))
    return transfer


def _own_tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and persistent buffers, a shared tensor under its first name only."""
    kept = network.state_dict()
    tensors = {}
    for name, value in (*network.named_parameters(), *network.named_buffers()):
        if name in kept:
            tensors[name] = value.detach()
    return tensors


def _head_rows(plan: Plan) -> list[Row]:
    """Rows of the heads that only a training adds."""
    rows = []
    for index, _ in enumerate(plan.network_branches["head_modules"]):
        name = f"{AUXILIARY_HEADS}.{index}"
        rows.append(Row(name=name, status=NEW, shape=(), detail="in training only: no bundle has it"))
    return rows


def _unused_rows(tensors: Mapping[str, torch.Tensor], network: nn.Module) -> list[Row]:
    """Rows of the source's tensors that the network lacks."""
    known = set(network.state_dict())
    rows = []
    for name, value in tensors.items():
        if name not in known:
            detail = "the new network has no such tensor"
            rows.append(Row(name=name, status=UNUSED, shape=tuple(value.shape), detail=detail))
    return rows


def match_channels(source: Sequence[str], new: Sequence[str], strategy: str | None) -> tuple[tuple[Match, ...], float]:
    """Where each image channel comes from, and the factor that keeps activations on their scale.

    A channel takes the slice of its namesake. A channel without a namesake takes the mean of the source's channels that
    have none either (of all channels, if each has), the first channel, or a new slice. Slices are multiplied by
    source channels / new channels, so that the same image in every channel excites the network as it did the source.
    """
    namesakes = [_index(name, source) for name in new]
    if strategy is None and len(source) == len(new) and set(namesakes) == {None}:
        return _in_order(source, new), 1.0
    free = [index for index in range(len(source)) if index not in namesakes]
    averaged = tuple(free or range(len(source)))
    matches = []
    for name, namesake in zip(new, namesakes, strict=True):
        if namesake is not None:
            match = Match(name=name, source=(namesake,), how=f"its namesake {source[namesake]}")
        elif strategy == "skip":
            match = Match(name=name, source=(), how="newly initialised")
        elif strategy == "first":
            match = Match(name=name, source=(0,), how=f"the first channel, {source[0]}")
        else:
            names = ", ".join(map(source.__getitem__, averaged))
            match = Match(name=name, source=averaged, how=f"the mean of {names}")
        matches.append(match)
    factor = 1.0 if strategy == "skip" else len(source) / len(new)
    return tuple(matches), factor


def _in_order(source: Sequence[str], new: Sequence[str]) -> tuple[Match, ...]:
    matches = []
    for index, name in enumerate(new):
        how = f"in order, since as many channels and no name agrees: {source[index]}"
        matches.append(Match(name=name, source=(index,), how=how))
    return tuple(matches)


def match_classes(source: Sequence[str], new: Sequence[str]) -> tuple[Match, ...]:
    """Where each class's row of an output comes from: its namesake, or newly initialised."""
    matches = []
    for name in new:
        index = _index(name, source)
        if index is None:
            how = "newly initialised: the source has no class of this name"
            matches.append(Match(name=name, source=(), how=how))
        else:
            matches.append(Match(name=name, source=(index,), how=f"its namesake {source[index]}"))
    return tuple(matches)


def _index(name: str, names: Sequence[str]) -> int | None:
    for index, other in enumerate(names):
        if same_name(name, other):
            return index
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Carrier:
    """Carries tensors over, each by its name and shape."""

    channels: tuple[Match, ...]
    factor: float
    classes: tuple[Match, ...]
    source: SourceBundle

    def carry(
        self, name: str, fresh: torch.Tensor, loaded: torch.Tensor | None, axes: Axes
    ) -> tuple[torch.Tensor, Row]:
        """The initial value of a tensor of the new network, and its row in the account."""
        shape = tuple(fresh.shape)
        if loaded is None:
            return fresh, Row(name=name, status=NEW, shape=shape, detail="the source has no such tensor")
        expected = self._source_shape(shape, axes)
        if tuple(loaded.shape) != expected:
            detail = f"the source's shape is {tuple(loaded.shape)}; {expected} would fit"
            return fresh, Row(name=name, status=SKIPPED, shape=shape, detail=detail)
        loaded = loaded.to(fresh.dtype)
        changes = []
        if axes.channels and not _is_same(self.channels, len(self.source.model.channel_names)):
            loaded = self._adapt_channels(fresh, loaded, axes)
            changes.append("image channels")
        if axes.classes and not _is_same(self.classes, len(self.source.model.class_names)):
            if loaded.shape[axes.classes[0]] == 0 or not _any_namesake(self.classes):
                return fresh, Row(name=name, status=NEW, shape=shape, detail="no class has a namesake in the source")
            loaded = _put(fresh, loaded, axes.classes, _entries(self.classes, axes.block))
            changes.append("classes")
        status = ADAPTED if changes else LOADED
        return loaded.clone(), Row(name=name, status=status, shape=shape, detail=" and ".join(changes))

    def _source_shape(self, shape: Sequence[int], axes: Axes) -> tuple[int, ...]:
        sizes = list(shape)
        for axis in axes.channels:
            sizes[axis] = len(self.source.model.channel_names) * axes.block
        for axis in axes.classes:
            sizes[axis] = len(self.source.model.class_names) * axes.block
        return tuple(sizes)

    def _adapt_channels(self, fresh: torch.Tensor, loaded: torch.Tensor, axes: Axes) -> torch.Tensor:
        import torch

        entries = _entries(self.channels, axes.block)
        is_kernel = axes.channels == (1,) and loaded.ndim >= 3  # (out, in, X, Y, Z): a convolution over the image
        if not is_kernel:
            return _put(fresh, loaded, axes.channels, entries)
        slices = []
        for index, sources in enumerate(entries):
            if sources:
                slices.append(loaded[:, list(sources)].mean(dim=1) * self.factor)
            else:
                slices.append(fresh[:, index])
        return torch.stack(slices, dim=1)


def _is_same(matches: Sequence[Match], count: int) -> bool:
    """Whether the new channels or classes are all of the source's, in its order."""
    if len(matches) != count:
        return False
    for index, match in enumerate(matches):
        if match.source != (index,):
            return False
    return True


def _any_namesake(classes: Sequence[Match]) -> bool:
    return any(match.source for match in classes)


def _entries(matches: Sequence[Match], block: int) -> list[tuple[int, ...]]:
    """For each entry of an axis, the entries of the source that it combines."""
    entries = []
    for match in matches:
        for place in range(block):
            entries.append(tuple(index * block + place for index in match.source))
    return entries


def _put(
    fresh: torch.Tensor, loaded: torch.Tensor, axes: Sequence[int], entries: Sequence[tuple[int, ...]]
) -> torch.Tensor:
    """`fresh` with the entries of `loaded` wherever every index along `axes` has a source."""
    import torch

    new_indices, source_indices = [], []
    for index, sources in enumerate(entries):
        if sources:
            new_indices.append(index)
            source_indices.append(sources[0])
    result = fresh.clone()
    front = list(range(len(axes)))
    into, out = result.movedim(list(axes), front), loaded.movedim(list(axes), front)
    new_grid = torch.meshgrid(*[torch.tensor(new_indices)] * len(axes), indexing="ij")
    source_grid = torch.meshgrid(*[torch.tensor(source_indices)] * len(axes), indexing="ij")
    into[new_grid] = out[source_grid]
    return result
