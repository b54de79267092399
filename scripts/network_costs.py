"""Fit the costs of networks: each is built in many sizes on the meta device, and what autograd keeps is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from scipy.optimize import nnls

from mist_bundle.bundle.accounting import account, account_network, meta_network, per_voxel
from mist_bundle.catalog.choice import Choice
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.files import write_json
from mist_bundle.planning.costs import COSTS_JSON, FLOPS, PARAMETERS, SAVED, VAE, cost_key, loss_key, terms, vae_terms
from mist_bundle.planning.network_size import NetworkSize, SizeRequest
from mist_bundle.planning.networks import fit_network_patch, size_network
from mist_bundle.planning.sizing_rules import FIXED_STRIDES
from mist_bundle.resources import PACKAGE
from mist_bundle.runtime.networks.vae import with_vae
from mist_bundle.runtime.numerics.triples import Triple

PATCHES: tuple[Triple, ...] = ((64, 64, 64), (32, 64, 96), (64, 128, 32), (128, 128, 128))
FIXED_PATCHES: tuple[Triple, ...] = ((64, 64, 64), (96, 96, 96))
FILTERS = ((32, 64, 128, 256, 320), (20, 20, 20), (24, 48, 96))
SPACINGS = ((1.0, 1.0, 1.0), (1.0, 1.0, 3.0))
CHANNELS = ((1, 3), (4, 2), (2, 9))
KINDS = (SAVED, FLOPS, PARAMETERS)
DIGITS = 6
LOSS_SHAPE = (32, 32, 32)
LOSS_OUTPUTS = (2, 5)


def sizes(row: Choice, residual: bool) -> Iterator[tuple[NetworkSize, Triple, tuple[int, int]]]:
    """Networks of a row in many sizes: the size, the patch that fits it, and its channels."""
    fixed = row.sizing in FIXED_STRIDES
    for wanted in FIXED_PATCHES if fixed else PATCHES:
        for filters in FILTERS[:1] if fixed else FILTERS:
            for spacing in SPACINGS[:1] if fixed else SPACINGS:
                for image, output in CHANNELS:
                    patch, _ = fit_network_patch(row, wanted, spacing, None)
                    request = SizeRequest(
                        patch_size=patch,
                        spacing_mm=spacing,
                        in_channels=image,
                        out_channels=output,
                        filters=filters,
                        residual=residual,
                        kernel_size=3,
                        heads=0,
                    )
                    yield size_network(row, request), patch, (image, output)


def measure(row: Choice, residual: bool) -> dict[str, list[float]]:
    """The coefficients of a row."""
    lines: dict[str, list[Sequence[float]]] = {kind: [] for kind in KINDS}
    counted: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for size, patch, channels in sizes(row, residual):
        network = meta_network(row, size)
        saved, flops = per_voxel(account_network(network, channels[0], patch), patch)
        parameters = float(sum(parameter.numel() for parameter in network.parameters()))
        for kind, value in zip(KINDS, (saved, flops, parameters), strict=True):
            lines[kind].append(terms(kind, row, size, channels))
            counted[kind].append(value)
    return {kind: _fit(lines[kind], counted[kind], kind) for kind in KINDS}


def measure_vae() -> dict[str, list[float]]:
    """What the branch that redraws the image adds, on nnunet."""
    row = NETWORKS["nnunet"]
    lines: list[Sequence[float]] = []
    added: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for size, patch, channels in sizes(row, residual=True):
        network = meta_network(row, size)
        plain = per_voxel(account_network(network, channels[0], patch), patch)
        own = sum(parameter.numel() for parameter in network.parameters())
        with torch.device("meta"):
            with_vae(network, size.bottleneck, channels[0], patch, size.strides, size.widths)
        regularised = per_voxel(account_network(network, channels[0], patch), patch)
        lines.append(vae_terms(size, channels[0]))
        added[SAVED].append(regularised[0] - plain[0])
        added[FLOPS].append(regularised[1] - plain[1])
        added[PARAMETERS].append(sum(parameter.numel() for parameter in network.parameters()) - own)
    return {kind: _fit(lines, added[kind], f"vae {kind}") for kind in KINDS}


def measure_loss(name: str) -> dict[str, list[float]]:
    """What a loss keeps for each voxel: a constant, and a number for each output."""
    row = LOSSES[name]
    arguments = {**row.kwargs, **({"spacing_mm": [1, 1, 1]} if "spacing" in row.needs else {})}
    target = row.target.replace("scripts.", "mist_bundle.runtime.", 1)
    loss = ConfigParser({"loss": {"_target_": target, **arguments}}).get_parsed_content("loss")
    counted = []
    for outputs in LOSS_OUTPUTS:
        logits = torch.randn(1, outputs, *LOSS_SHAPE, requires_grad=True)
        label = torch.randint(0, outputs, (1, 1, *LOSS_SHAPE)).to(torch.uint8)
        maps = {"label": label, "dtm": torch.randn(1, outputs, *LOSS_SHAPE)}
        given = maps if "distance_maps" in row.needs else label
        found = account(partial(loss, logits, given))
        counted.append(round(per_voxel(found, LOSS_SHAPE)[0], 1))
    each = (counted[1] - counted[0]) / (LOSS_OUTPUTS[1] - LOSS_OUTPUTS[0])
    return {SAVED: [round(counted[0] - LOSS_OUTPUTS[0] * each, 2), round(each, 2)]}


def _fit(lines: Sequence[Sequence[float]], values: Sequence[float], what: str) -> list[float]:
    """Coefficients of at least 0 with the least relative error."""
    scaled = np.asarray(lines, dtype=float) / np.asarray(values)[:, None]
    norms = np.linalg.norm(scaled, axis=0)
    norms[norms == 0] = 1.0
    found, _ = nnls(scaled / norms, np.ones(len(values)), maxiter=10_000)
    coefficients = found / norms
    error = float(np.abs(scaled @ coefficients - 1).max())
    print(f"  {what}: largest error {error:.1%}", flush=True)
    return [float(f"{value:.{DIGITS}g}") for value in coefficients]


def main() -> None:
    """Fit every row of the menu once for blocks with and without a shortcut."""
    table: dict[str, Any] = {}
    for name, row in NETWORKS.items():
        for residual in (True, False) if "residual" in row.takes else (False,):
            key = cost_key(name, row, residual=residual)
            if key not in table:
                print(key, flush=True)
                table[key] = measure(row, residual)
    print(VAE)
    table[VAE] = measure_vae()
    for name in LOSSES:
        table[loss_key(name)] = measure_loss(name)
    write_json(Path(PACKAGE) / COSTS_JSON, table)


if __name__ == "__main__":
    main()
