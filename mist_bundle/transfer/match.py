"""Carry weights over from one network to another, by name and shape, and account for every tensor.

Which axis of which tensor counts image channels or classes is found by building the network with more of each and
comparing shapes, so it holds for any network, its auxiliary heads included.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.finetune import INPUT_ARGUMENTS, OUTPUT_ARGUMENTS, same_name
from mist_bundle.planning.plan import Plan
from mist_bundle.transfer.open_source import SourceBundle
from mist_bundle.transfer.tensors import read_weights
from mist_bundle.trust.audit.targets import MONAI_NETWORKS

if TYPE_CHECKING:
    import torch
    from torch import nn

INITIAL_WEIGHTS = "transfer/initial.safetensors"
TRANSFER_JSON = "configs/transfer.json"

AUXILIARY_HEADS = "auxiliary_heads"  # what runtime/networks/heads.py adds to a network while it is trained
LOADED, ADAPTED, NEW, SKIPPED, UNUSED = "loaded", "adapted", "new", "skipped", "unused"
STATUSES = (LOADED, ADAPTED, NEW, SKIPPED, UNUSED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """How a single tensor was carried over."""

    name: str
    status: str
    shape: tuple[int, ...]
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """The source of a channel or class of the new network.

    Attributes:
        name: of the new channel or class.
        source: indices in the source whose mean it begins from; empty for newly initialised.
        how: a sentence for the report.
    """

    name: str
    source: tuple[int, ...]
    how: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer:
    """The initial weights of a new network and the account of them.

    Attributes:
        weights: every parameter and buffer of the new network, shared tensors once.
        rows: a row for each tensor of either network.
        channels: of the new network, in order.
        classes: of the new network, in order.
        channel_factor: what kernels over image channels were multiplied by, so that activations keep their scale.
        source_sha256: of the file that the weights came from.
    """

    weights: Mapping[str, torch.Tensor]
    rows: tuple[Row, ...]
    channels: tuple[Match, ...]
    classes: tuple[Match, ...]
    channel_factor: float
    source_sha256: str

    def count(self, status: str) -> int:
        """How many tensors have a status."""
        return sum(row.status == status for row in self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Axes:
    """Axes of a tensor that count image channels and classes, `block` entries for each, channel by channel."""

    channels: tuple[int, ...]
    classes: tuple[int, ...]
    block: int = 1


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
    fresh = _own_tensors(network)
    carrier = _Carrier(channels=channels, factor=factor, classes=classes, source=source)
    weights: dict[str, torch.Tensor] = {}
    rows: list[Row] = []
    for name, value in fresh.items():
        weights[name], row = carrier.carry(name, value, tensors.get(name), axes[name])
        rows.append(row)
    rows += [
        Row(name=f"{AUXILIARY_HEADS}.{index}", status=NEW, shape=(), detail="in training only: no bundle has it")
        for index, _ in enumerate(plan.network_branches["head_modules"])
    ]
    known = set(network.state_dict())
    rows += [
        Row(name=name, status=UNUSED, shape=tuple(value.shape), detail="the new network has no such tensor")
        for name, value in tensors.items()
        if name not in known
    ]
    transfer = Transfer(
        weights=weights,
        rows=tuple(rows),
        channels=channels,
        classes=classes,
        channel_factor=factor,
        source_sha256=hashlib.sha256(source.weights.read_bytes()).hexdigest(),
    )
    if transfer.count(LOADED) + transfer.count(ADAPTED) == 0:
        raise InputError(
            Problem(source.origin, f"none of its {len(tensors)} tensors fits the network {_short(source)}.")
        )
    return transfer


def build_network(arguments: Mapping[str, Any], target: str) -> nn.Module:
    """Build a network of MONAI's or of the runtime.

    Raises:
        InputError: there is no such network, or it does not take these arguments.
    """
    module, _, name = target.replace("scripts.", "mist_bundle.runtime.", 1).rpartition(".")
    module = MONAI_NETWORKS.rstrip(".") if target.startswith(MONAI_NETWORKS) else module
    try:
        network: nn.Module = getattr(importlib.import_module(module), name)(**arguments)
    except AttributeError as error:
        raise InputError(Problem(target, f"is not a network of the installed MONAI ({error}).")) from error
    except (TypeError, ValueError, AssertionError, KeyError) as error:
        raise InputError(Problem(target, f"cannot be built with {dict(arguments)}: {error}")) from error
    return network


def find_axes(target: str, arguments: Mapping[str, Any], network: nn.Module) -> dict[str, _Axes]:
    """For each tensor, the axes that grow with the number of image channels, and those that grow with the classes."""
    block = prod(getattr(network, "fold", ()))  # runtime/networks/subpixel.py: a block of voxels for each channel
    channels, classes = (
        _growing(target, arguments, network, names, block) for names in (INPUT_ARGUMENTS, OUTPUT_ARGUMENTS)
    )
    return {name: _Axes(channels=channels[name], classes=classes[name], block=block) for name in channels}


def _growing(
    target: str, arguments: Mapping[str, Any], network: nn.Module, names: Sequence[str], block: int
) -> dict[str, tuple[int, ...]]:
    # one more or two: a network may lose a tensor by chance, as a residual block without change of width does
    grown: dict[str, tuple[int, ...]] = {name: () for name in network.state_dict()}
    for more in (2, 1):
        larger = {**arguments, **{name: arguments[name] + more for name in names if name in arguments}}
        shapes = {name: value.shape for name, value in build_network(larger, target).state_dict().items()}
        for name, value in network.state_dict().items():
            if name in shapes:
                pairs = enumerate(zip(value.shape, shapes[name], strict=True))
                grown[name] = tuple(axis for axis, (size, grown_size) in pairs if grown_size == size + more * block)
    return grown


def match_channels(source: Sequence[str], new: Sequence[str], strategy: str | None) -> tuple[tuple[Match, ...], float]:
    """Where each image channel comes from, and the factor that keeps activations on their scale.

    A channel takes the slice of its namesake. A channel without a namesake takes the mean of the source's channels that
    have none either (of all channels, if each has), the first channel, or a new slice. Slices are multiplied by
    source channels / new channels, so that
    the same image in every channel excites the network as it did the source.
    """
    own = {index: _index(name, source) for index, name in enumerate(new)}
    if strategy is None and len(source) == len(new) and all(index is None for index in own.values()):
        how = "in order, since as many channels and no name agrees: {}"
        return tuple(
            Match(name=name, source=(index,), how=how.format(source[index])) for index, name in enumerate(new)
        ), 1.0
    free = [index for index in range(len(source)) if index not in own.values()] or list(range(len(source)))
    matches = []
    for index, name in enumerate(new):
        namesake = own[index]
        if namesake is not None:
            matches.append(Match(name=name, source=(namesake,), how=f"its namesake {source[namesake]}"))
        elif strategy == "skip":
            matches.append(Match(name=name, source=(), how="newly initialised"))
        elif strategy == "first":
            matches.append(Match(name=name, source=(0,), how=f"the first channel, {source[0]}"))
        else:
            how = f"the mean of {', '.join(source[one] for one in free)}"
            matches.append(Match(name=name, source=tuple(free), how=how))
    return tuple(matches), 1.0 if strategy == "skip" else len(source) / len(new)


def match_classes(source: Sequence[str], new: Sequence[str]) -> tuple[Match, ...]:
    """Where each class's row of an output comes from: its namesake, or newly initialised."""
    matches = []
    for name in new:
        index = _index(name, source)
        how = (
            "newly initialised: the source has no class of this name"
            if index is None
            else f"its namesake {source[index]}"
        )
        matches.append(Match(name=name, source=() if index is None else (index,), how=how))
    return tuple(matches)


def _index(name: str, names: Sequence[str]) -> int | None:
    return next((index for index, other in enumerate(names) if same_name(name, other)), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Carrier:
    """Carries tensors over, each by its name and shape."""

    channels: tuple[Match, ...]
    factor: float
    classes: tuple[Match, ...]
    source: SourceBundle

    def carry(
        self, name: str, fresh: torch.Tensor, loaded: torch.Tensor | None, axes: _Axes
    ) -> tuple[torch.Tensor, Row]:
        """The initial value of a tensor of the new network, and what became of it."""
        shape = tuple(fresh.shape)
        if loaded is None:
            return fresh, Row(name=name, status=NEW, shape=shape, detail="the source has no such tensor")
        expected = self._source_shape(shape, axes)
        if tuple(loaded.shape) != expected:
            detail = f"the source's shape is {tuple(loaded.shape)}; {expected} would fit"
            return fresh, Row(name=name, status=SKIPPED, shape=shape, detail=detail)
        loaded = loaded.to(fresh.dtype)
        steps = []
        if axes.channels and not self._same(self.channels, len(self.source.model.channel_names)):
            loaded = self._adapt_channels(fresh, loaded, axes)
            steps.append("image channels")
        if axes.classes and not self._same(self.classes, len(self.source.model.class_names)):
            if loaded.shape[axes.classes[0]] == 0 or all(not match.source for match in self.classes):
                return fresh, Row(name=name, status=NEW, shape=shape, detail="no class has a namesake in the source")
            loaded = _put(fresh, loaded, axes.classes, _entries(self.classes, axes.block))
            steps.append("classes")
        status, detail = (ADAPTED, " and ".join(steps)) if steps else (LOADED, "")
        return loaded.clone(), Row(name=name, status=status, shape=shape, detail=detail)

    def _source_shape(self, shape: Sequence[int], axes: _Axes) -> tuple[int, ...]:
        sizes = list(shape)
        for axis in axes.channels:
            sizes[axis] = len(self.source.model.channel_names) * axes.block
        for axis in axes.classes:
            sizes[axis] = len(self.source.model.class_names) * axes.block
        return tuple(sizes)

    def _same(self, matches: Sequence[Match], count: int) -> bool:
        return len(matches) == count and all(match.source == (index,) for index, match in enumerate(matches))

    def _adapt_channels(self, fresh: torch.Tensor, loaded: torch.Tensor, axes: _Axes) -> torch.Tensor:
        import torch

        entries = _entries(self.channels, axes.block)
        is_kernel = axes.channels == (1,) and loaded.ndim >= 3  # (out, in, X, Y, Z): a convolution over the image
        if not is_kernel:
            return _put(fresh, loaded, axes.channels, entries)
        slices = [
            loaded[:, list(sources)].mean(dim=1) * self.factor if sources else fresh[:, index]
            for index, sources in enumerate(entries)
        ]
        return torch.stack(slices, dim=1)


def _entries(matches: Sequence[Match], block: int) -> list[tuple[int, ...]]:
    """For each entry of an axis, the entries of the source that it combines."""
    return [tuple(index * block + place for index in match.source) for match in matches for place in range(block)]


def _put(
    fresh: torch.Tensor, loaded: torch.Tensor, axes: Sequence[int], entries: Sequence[tuple[int, ...]]
) -> torch.Tensor:
    """`fresh` with the entries of `loaded` wherever every index along `axes` has a source."""
    import torch

    pairs = [(index, sources[0]) for index, sources in enumerate(entries) if sources]
    result = fresh.clone()
    front = list(range(len(axes)))
    into, out = result.movedim(list(axes), front), loaded.movedim(list(axes), front)
    rows = torch.meshgrid(*[torch.tensor([pair[0] for pair in pairs])] * len(axes), indexing="ij")
    columns = torch.meshgrid(*[torch.tensor([pair[1] for pair in pairs])] * len(axes), indexing="ij")
    into[rows] = out[columns]
    return result


def _own_tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and persistent buffers, a shared tensor under its first name only."""
    kept = network.state_dict()
    named = [*network.named_parameters(), *network.named_buffers()]
    return {name: value.detach() for name, value in named if name in kept}


def report_json(transfer: Transfer, source: SourceBundle, strategy: str | None) -> dict[str, Any]:
    """configs/transfer.json: where every tensor, channel and class of the initial weights comes from."""
    return {
        "source": source.model.name,
        "source_weights": source.weights.relative_to(source.folder).as_posix(),
        "source_sha256": transfer.source_sha256,
        "network": source.model.target,
        "initial_weights": INITIAL_WEIGHTS,
        "channel_strategy": strategy or "by name, else by order or average",
        "channel_factor": transfer.channel_factor,
        "channels": [{"name": match.name, "from": match.how} for match in transfer.channels],
        "classes": [{"name": match.name, "from": match.how} for match in transfer.classes],
        "summary": {status: transfer.count(status) for status in STATUSES},
        "tensors": [
            {"name": row.name, "status": row.status, "shape": list(row.shape), "detail": row.detail}
            for row in transfer.rows
        ],
    }


def report_rows(transfer: Transfer) -> list[tuple[str, str, str]]:
    """The account for people: counts, then channels and classes, then every tensor that was not simply loaded."""
    words = {
        LOADED: "tensors carried over as they are",
        ADAPTED: "tensors carried over with other channels or classes",
        NEW: "tensors of the new network that begin newly initialised",
        SKIPPED: "tensors of the source whose shape does not fit; newly initialised",
        UNUSED: "tensors of the source that the new network has not got",
    }
    rows = [(status, str(transfer.count(status)), words[status]) for status in STATUSES]
    rows += [("channel", match.name, match.how) for match in transfer.channels]
    rows += [("class", match.name, match.how) for match in transfer.classes]
    rows += [(row.status, row.name, row.detail) for row in transfer.rows if row.status != LOADED]
    return rows


def initial_files(transfer: Transfer, source: SourceBundle, strategy: str | None) -> dict[str, bytes]:
    """The files that the new bundle carries: the initial weights and the account of them."""
    from mist_bundle.files import SOURCE_LICENSE, dump_json
    from mist_bundle.transfer.tensors import safetensors_bytes

    return {
        INITIAL_WEIGHTS: safetensors_bytes(transfer.weights),
        TRANSFER_JSON: dump_json(report_json(transfer, source, strategy)).encode(),
        SOURCE_LICENSE: _source_license(source).encode(),
    }


def _source_license(source: SourceBundle) -> str:
    """What the source says of its own data: whoever passes these weights on has to keep to it."""
    from mist_bundle.files import DATA_LICENSE, SOURCE_LICENSE

    licences = [source.folder / name for name in (SOURCE_LICENSE, DATA_LICENSE) if (source.folder / name).is_file()]
    texts = [path.read_text(encoding="utf-8", errors="replace").strip() for path in licences]
    said = "\n\n".join(texts) or "It does not say under which licence the data are that it was trained on."
    return f"Training began from the weights of {source.model.name}. What that bundle says of its data:\n\n{said}\n"


def _short(source: SourceBundle) -> str:
    return source.model.target.rpartition(".")[2]
