"""The account of a transfer: the origin of every tensor, channel and class of a new bundle's initial weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mist_bundle.files import DATA_LICENSE, SOURCE_LICENSE
from mist_bundle.runtime.folds.files import json_text
from mist_bundle.transfer.open_source import SourceBundle

if TYPE_CHECKING:
    import torch

INITIAL_WEIGHTS = "transfer/initial.safetensors"
TRANSFER_JSON = "configs/transfer.json"

LOADED, ADAPTED, NEW, SKIPPED, UNUSED = "loaded", "adapted", "new", "skipped", "unused"
STATUSES = {
    LOADED: "tensors carried over as they are",
    ADAPTED: "tensors carried over with other channels or classes",
    NEW: "tensors of the new network, newly initialised",
    SKIPPED: "tensors of the source whose shape does not fit; newly initialised",
    UNUSED: "tensors of the source that the new network lacks",
}


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
        channel_factor: of the kernels over image channels, which keeps activations on their scale.
        source_sha256: of the file that the weights came from.
    """

    weights: Mapping[str, torch.Tensor]
    rows: tuple[Row, ...]
    channels: tuple[Match, ...]
    classes: tuple[Match, ...]
    channel_factor: float
    source_sha256: str

    def count(self, status: str) -> int:
        """The number of tensors with a status."""
        return [row.status for row in self.rows].count(status)


def account_json(transfer: Transfer, source: SourceBundle, strategy: str | None) -> dict[str, Any]:
    """configs/transfer.json: where every tensor, channel and class of the initial weights comes from."""
    summary = {}
    for status in STATUSES:
        summary[status] = transfer.count(status)
    tensors = []
    for row in transfer.rows:
        tensors.append({"name": row.name, "status": row.status, "shape": list(row.shape), "detail": row.detail})
    return {
        "source": source.model.name,
        "source_weights": source.weights.relative_to(source.folder).as_posix(),
        "source_sha256": transfer.source_sha256,
        "network": source.model.target,
        "initial_weights": INITIAL_WEIGHTS,
        "channel_strategy": strategy or "by name, else by order or average",
        "channel_factor": transfer.channel_factor,
        "channels": _matches_json(transfer.channels),
        "classes": _matches_json(transfer.classes),
        "summary": summary,
        "tensors": tensors,
    }


def _matches_json(matches: Sequence[Match]) -> list[dict[str, str]]:
    return [{"name": match.name, "from": match.how} for match in matches]


def account_rows(account: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The account for people: counts, then channels and classes, then every tensor that was not simply loaded.

    Args:
        account: the content of configs/transfer.json.
    """
    rows = []
    for status, meaning in STATUSES.items():
        rows.append((status, str(account["summary"][status]), meaning))
    for channel in account["channels"]:
        rows.append(("channel", channel["name"], channel["from"]))
    for of_class in account["classes"]:
        rows.append(("class", of_class["name"], of_class["from"]))
    for tensor in account["tensors"]:
        if tensor["status"] != LOADED:
            rows.append((tensor["status"], tensor["name"], tensor["detail"]))
    return rows


def initial_files(transfer: Transfer, source: SourceBundle, strategy: str | None) -> dict[str, bytes]:
    """The files that the new bundle carries: the initial weights and the account of them."""
    from mist_bundle.transfer.tensors import safetensors_bytes

    return {
        INITIAL_WEIGHTS: safetensors_bytes(transfer.weights),
        TRANSFER_JSON: json_text(account_json(transfer, source, strategy)).encode(),
        SOURCE_LICENSE: _source_license(source).encode(),
    }


def _source_license(source: SourceBundle) -> str:
    """The source's words about its own data, which whoever passes these weights on has to respect."""
    texts = []
    for name in (SOURCE_LICENSE, DATA_LICENSE):
        path = source.folder / name
        if path.is_file():
            texts.append(path.read_text(encoding="utf-8", errors="replace").strip())
    terms = "\n\n".join(texts) or "It does not state the licence of its training data."
    return f"Training began from the weights of {source.model.name}. What that bundle says about its data:\n\n{terms}\n"
