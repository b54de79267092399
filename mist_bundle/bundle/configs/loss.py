"""The loss of train.json: a row of the catalogue, its base where it is a composite, deep supervision around it all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mist_bundle.bundle.configs import parts
from mist_bundle.bundle.configs.parts import Config, script
from mist_bundle.catalog.choice import find_choice
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.planning.plan import Plan


def loss_config(plan: Plan) -> Config:
    """The ids "loss" and, for a composite loss, "composite_weighting"."""
    name = plan.loss.value
    settings: Config = {}
    if find_choice(LOSSES, name).base:
        weighting = "losses.composite_weighting.CompositeWeighting"
        settings["composite_weighting"] = script(weighting, shape=plan.composite_weighting.value, epochs="@epochs")
    weights = plan.deep_supervision_weights
    own = {} if weights is None else {"weights": list(weights.value)}
    loss = _loss(plan, name, plan.loss_arguments or {})
    supervised = script("losses.deep_supervision.DeepSupervisionLoss", loss=loss, **own)
    return {**settings, "loss": parts.with_penalty(plan, supervised)}


def weighting_handlers(plan: Plan) -> list[Config]:
    """The handler that moves the weighting of a composite loss along."""
    if not find_choice(LOSSES, plan.loss.value).base:
        return []
    return [script("handlers.attached.Attached", handler="@composite_weighting")]


def batch_with_maps(plan: Plan) -> Config:
    """What the trainer needs to hand distance maps to the loss."""
    return {"prepare_batch": script("loading.batch.BatchWithMaps")} if plan.distance_maps.value else {}


def _loss(plan: Plan, name: str, further: Mapping[str, Any]) -> Config:
    row = find_choice(LOSSES, name)
    channels = _channel_arguments(plan)
    spacing = {"spacing_mm": list(plan.target_spacing_mm.value)} if "spacing" in row.needs else {}
    if row.extended and channels:
        term: Config = {"_target_": row.extended, "_requires_": "@scripts_path", **channels, **further}
    else:
        term = parts.choice(row, **spacing, **channels, **further)
    if not row.base:
        return term
    composite = "losses.composite.CompositeLoss"
    return script(composite, region=_loss(plan, row.base, {}), extra=term, weighting="@composite_weighting")


def _channel_arguments(plan: Plan) -> dict[str, Any]:
    """Regions, ignored voxels and class weights, where there are any."""
    given = {
        "regions": plan.region_indices,
        "ignore_index": plan.ignore_index,
        "class_weights": list(plan.loss_class_weights.value) or None,
    }
    return {name: value for name, value in given.items() if value is not None}
