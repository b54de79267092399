"""Verbs that list the menus: a verb for each table of the catalogue, and the recipes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def networks() -> None:
    """List the networks."""
    from mist_bundle.catalog.networks import NETWORKS

    _menu(NETWORKS)


def losses() -> None:
    """List the losses."""
    from mist_bundle.catalog.losses import LOSSES

    _menu(LOSSES)


def optimizers() -> None:
    """List the optimizers."""
    from mist_bundle.catalog.optimizers import OPTIMIZERS

    _menu(OPTIMIZERS)


def schedules() -> None:
    """List the learning-rate schedules."""
    from mist_bundle.catalog.schedules import SCHEDULES

    _menu(SCHEDULES)


def augmentations() -> None:
    """List the augmentations."""
    from mist_bundle.catalog.augmentations import AUGMENTATIONS

    _menu(AUGMENTATIONS)


def metrics() -> None:
    """List the metrics."""
    from mist_bundle.catalog.metrics import METRICS

    _menu(METRICS)


def postprocessing() -> None:
    """List the post-processing operations."""
    from mist_bundle.catalog.postprocessing import POSTPROCESSING

    _menu(POSTPROCESSING)


def recipes() -> None:
    """List the recipes."""
    from mist_bundle.planning.recipes import RECIPES

    _menu(RECIPES)


def _menu(rows: Mapping[str, Any]) -> None:
    width = max(map(len, rows))
    for name, row in rows.items():
        citation = f" [{row.cite}]" if row.cite else ""
        print(f"{name:<{width}}  {row.about}{citation}")
