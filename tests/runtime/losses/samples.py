"""Small problems that the tests of the losses share: labels, scores, distance maps, and the losses of the menu."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import torch

from mist_bundle.catalog.losses import LOSSES
from mist_bundle.runtime.losses.composite import CompositeLoss
from mist_bundle.runtime.losses.composite_weighting import CompositeWeighting
from mist_bundle.runtime.numerics.distance import distance_maps

SHAPE = (12, 10, 8)
SPACING = (1.5, 1.5, 3.0)
REGIONS = [[1, 2], [2]]
TERMS = [name for name in LOSSES if name != "vessel_sddl"]  # the terms that differ from each other


def label_and_logits(num_channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """A ball of class 1 and a box of class 2, in two samples that mirror each other, and wavy scores for them."""
    x, y, z = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    one = ((x - 4) ** 2 + (y - 4) ** 2 + (z - 4) ** 2 <= 9).astype(np.int64)
    one[8:11, 6:9, 2:6] = 2
    label = torch.tensor(np.stack([one, one[::-1]])[:, None])
    count = np.arange(2 * num_channels * one.size)
    waves = 3 * np.sin(count * 0.7) + 2 * np.sin(count * 0.013)
    return label, torch.tensor(waves.reshape(2, num_channels, *SHAPE))


def maps_of(label: torch.Tensor, regions: Any = None) -> torch.Tensor:
    """Normalised distance maps of three classes or of regions."""
    arrays = [distance_maps(one[0].numpy(), 3, regions=regions) for one in label]
    return torch.tensor(np.stack(arrays)).double()


def target_of(label: torch.Tensor, regions: Any = None) -> dict[str, torch.Tensor]:
    """What the trainer hands to a loss that needs distance maps."""
    return {"label": label, "dtm": maps_of(label, regions)}


def scores_near(label: torch.Tensor, quality: float, regions: Any = None) -> torch.Tensor:
    """Scores between the waves (0) and certainty about the truth (1)."""
    members = [[0], [1], [2]] if regions is None else regions
    _, noise = label_and_logits(len(members))
    masks = [torch.isin(label, torch.tensor(member)) for member in members]
    return (1 - quality) * noise + quality * 16 * (torch.cat(masks, dim=1).double() - 0.5)


def build_term(name: str, **channels: Any) -> torch.nn.Module:
    """One term of a loss of the menu, without its base."""
    row = LOSSES[name]
    extended = bool(channels and row.extended)
    module, _, attribute = (row.extended if extended else row.target).rpartition(".")
    if module.startswith("scripts."):
        module = module.replace("scripts.", "mist_bundle.runtime.", 1)
    spacing = {"spacing_mm": SPACING} if "spacing" in row.needs else {}
    fixed = {} if extended else dict(row.kwargs)
    return getattr(importlib.import_module(module), attribute)(**fixed, **spacing, **channels)


def build(name: str, share: float | None = None, **channels: Any) -> torch.nn.Module:
    """A loss of the menu as a bundle builds it; `share` of the base where it is a composite."""
    term, base = build_term(name, **channels), LOSSES[name].base
    if not base:
        return term
    weighting = CompositeWeighting()
    weighting.share = weighting.share if share is None else share
    return CompositeLoss(build(base, share, **channels), term, weighting)


def value_of(loss: torch.nn.Module, logits: torch.Tensor, target: dict[str, torch.Tensor]) -> torch.Tensor:
    """A loss, however it takes its target."""
    # MONAI's losses, which stand in the menu themselves, take the label alone
    alone = type(loss).__module__.startswith("monai.")
    return loss(logits, target["label"] if alone else target)
