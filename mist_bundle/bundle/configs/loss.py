"""The loss of train.json: a row of the catalogue, its base if it is a composite, within deep supervision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mist_bundle.bundle.configs import parts
from mist_bundle.bundle.configs.parts import Config, script
from mist_bundle.catalog.choice import find_choice
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.planning.plan import Plan


def loss_config(plan: Plan) -> Config:
    """Return the ids "loss" and, for a composite loss, "composite_weighting"."""
    name = plan.loss.value
    settings: Config = {}
    if find_choice(LOSSES, name).base:
        weighting = "losses.composite_weighting.CompositeWeighting"
        settings["composite_weighting"] = script(weighting, shape=plan.composite_weighting.value, epochs="@epochs")
    loss = _loss(plan, name, plan.loss_arguments or {})
    supervised = script("losses.deep_supervision.DeepSupervisionLoss", loss=loss)
    if plan.deep_supervision_weights is not None:
        supervised["weights"] = list(plan.deep_supervision_weights.value)
    settings["loss"] = parts.with_penalty(plan, supervised)
    return settings


def weighting_handlers(plan: Plan) -> list[Config]:
    """Return the handler that updates the weighting of a composite loss every epoch."""
    if not find_choice(LOSSES, plan.loss.value).base:
        return []
    return [script("handlers.attached.Attached", handler="@composite_weighting")]


def batch_with_maps(plan: Plan) -> Config:
    """Return the argument of the trainer that passes distance maps to the loss."""
    if not plan.distance_maps.value:
        return {}
    return {"prepare_batch": script("loading.batch.BatchWithMaps")}


def _loss(plan: Plan, name: str, further: Mapping[str, Any]) -> Config:
    row = find_choice(LOSSES, name)
    channels = _channel_arguments(plan)
    if row.extended and channels:
        term: Config = {"_target_": row.extended, "_requires_": "@scripts_path", **channels, **further}
    elif "spacing" in row.needs:
        term = parts.choice(row, spacing_mm=list(plan.target_spacing_mm.value), **channels, **further)
    else:
        term = parts.choice(row, **channels, **further)
    if not row.base:
        return term
    composite = "losses.composite.CompositeLoss"
    return script(composite, region=_loss(plan, row.base, {}), extra=term, weighting="@composite_weighting")


def _channel_arguments(plan: Plan) -> dict[str, Any]:
    """Regions, ignored voxels, classes not annotated and class weights, as far as the plan has them."""
    arguments: dict[str, Any] = {}
    if plan.region_indices is not None:
        arguments["regions"] = plan.region_indices
    if plan.ignore_index is not None:
        arguments["ignore_index"] = plan.ignore_index
    if plan.unlabelled:
        arguments["mixed"] = plan.mixed_classes
    if plan.loss_class_weights.value:
        arguments["class_weights"] = list(plan.loss_class_weights.value)
    return arguments
