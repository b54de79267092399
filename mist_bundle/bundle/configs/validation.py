"""The part `validate` of train.json: MONAI's supervised evaluator on the inner validation split."""

from __future__ import annotations

from mist_bundle.bundle import expressions
from mist_bundle.bundle.configs import parts
from mist_bundle.bundle.configs.parts import Config, script
from mist_bundle.planning.plan import Plan

METRIC = "val_mean_dice"


def validate_config(plan: Plan) -> Config:
    """Return the part `validate` of train.json: the evaluator that chooses the best epoch."""
    dataset = script("loading.dataset.CachedDataset", data=parts.items("validation"), cache="@train#cache")
    if plan.distance_maps.value:
        dataset["mapped"] = ["dtm"]  # for the validation loss
    return {
        "preprocessing": "@train#preprocessing",
        "dataset": dataset,
        "sampler": script(
            "loading.shards.ShardSampler", dataset="@validate#dataset", rank="@rank", world_size="@world_size"
        ),
        "dataloader": {
            "_target_": "ThreadDataLoader",  # reads the next case during a prediction
            "dataset": "@validate#dataset",
            "batch_size": 1,
            "sampler": "@validate#sampler",
            "num_workers": 0,
        },
        "inferer": parts.autocast(script("inferers.classify.ClassifyInferer", ensemble=parts.ensemble(plan))),
        "postprocessing": None,
        "key_metric": {
            METRIC: {
                "_target_": "IgniteMetricHandler",
                "metric_fn": script("metrics.dice_of_indices.DiceOfIndices", **_compared(plan)),
                "output_transform": expressions.METRIC_INPUTS,
            }
        },
        "handlers": _validate_handlers(plan),
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "non_blocking": True,
            "val_data_loader": "@validate#dataloader",
            "network": "@evaluated_network",
            "inferer": "@validate#inferer",
            "postprocessing": "@validate#postprocessing",
            "key_val_metric": "@validate#key_metric",
            "val_handlers": "@validate#handlers",
        },
    }


def _validate_handlers(plan: Plan) -> list[Config]:
    return [*_validation_loss(plan), *_lesion_detection(plan)]


def _lesion_detection(plan: Plan) -> list[Config]:
    """Of trainings that are made for small lesions; regions are predicted as masks, which have no indices."""
    is_for_lesions = plan.loss.value == "blob" or (
        plan.patch_sampling is not None and plan.patch_sampling.value == "instance"
    )
    if not is_for_lesions or plan.regions.value:
        return []
    classes = {}
    for index, name in enumerate(plan.foreground_names, start=1):
        classes[name] = [index]
    counted = script("handlers.lesion_detection.LesionDetection", classes=classes, device="@device")
    if plan.ignore_index is not None:
        counted["ignore_index"] = plan.ignore_index
    return [counted]


def _validation_loss(plan: Plan) -> list[Config]:
    measured = script(
        "handlers.validation_loss.ValidationLoss",
        network="@evaluated_network",
        loss="@loss",
        inferer="@train#inferer",
        patch_size="@patch_size",
        device="@device",
        seed="@seed",
    )
    if plan.first_unknown_index is not None:
        measured["ignore_index"] = plan.first_unknown_index
    return [measured]


def _compared(plan: Plan) -> Config:
    compared: Config = {"num_classes": plan.num_classes}
    if plan.regions.value:
        compared["regions"] = plan.region_indices
    if plan.ignore_index is not None:
        compared["ignore_index"] = plan.ignore_index
    if plan.unlabelled:
        compared["mixed"] = plan.mixed_classes
    return compared
