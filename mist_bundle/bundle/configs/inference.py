"""inference.json: stands alone, needs only the images, and writes label maps on the grid of each case."""

from __future__ import annotations

from typing import Any

from mist_bundle.bundle import expressions
from mist_bundle.bundle.configs import parts
from mist_bundle.bundle.configs.parts import Config, script
from mist_bundle.bundle.configs.train import initialize
from mist_bundle.bundle.configs.transforms import deterministic_transforms, restore_and_save
from mist_bundle.planning.plan import Plan


def inference_config(plan: Plan, name: str, bundle_id: str, dataset_dir: str) -> Config:
    """Return the complete inference.json of a plan; arguments as for `parts.header`."""
    return {
        **parts.header(name, bundle_id, dataset_dir),
        **_settings(plan),
        "network_def": parts.network(plan, training=False),
        "network": expressions.NETWORK_ON_DEVICE,
        **_data(plan),
        # for programs that bring a network with its weights, such as MONAI Label: loads nothing
        "inferer": _inferer(plan),
        "ensemble_inferer": _inferer(plan, checkpoints="@ensemble_paths"),
        "postprocessing": parts.compose(restore_and_save(plan, postprocess=True)),
        "predictions": parts.predictions(
            weight_files=expressions.ALL_MODELS,
            setting_files=["@postprocessing_path", "@confidence_path"],
            settings={
                "ensemble": "@ensemble",
                "postprocess": "@postprocess",
                "engine": "@engine",
                **parts.absent_reference(plan),
            },
        ),
        "maps": parts.maps(),
        "confidence": script(
            "predictions.confidence.Confidence",
            calibration_path="@confidence_path",
            class_names=list(plan.foreground_names),
            exclusive=not plan.regions.value,
        ),
        "case_by_case": parts.case_by_case(),
        **_evaluator(),
        "initialize": initialize(),
        "run": [parts.CHECKED, expressions.BEGIN_PREDICTIONS, expressions.RUN_EVALUATOR, expressions.END_PREDICTIONS],
        "inference": expressions.RUN_LIST,
    }


def _inferer(plan: Plan, **arguments: Any) -> Config:
    members = parts.segment(
        plan, flip_axes="@test_time_flip_axes", uncertainty="@save_uncertainty", engine="@engine", **arguments
    )
    return parts.autocast({**members, "confidence": "@confidence"})


def _settings(plan: Plan) -> Config:
    """Settings that a caller may override."""
    return {
        "output_dir": expressions.PREDICTIONS,
        "models_dir": expressions.MODELS_DIR,
        "ckpt_path": expressions.MODEL,
        "fold_paths": script("folds.weights.fold_weights", models_dir="@models_dir"),
        "ensemble": True,
        "ensemble_paths": script(
            "folds.weights.ensemble_weights",
            fold_paths="@fold_paths",
            models_dir="@models_dir",
            ckpt_path="@ckpt_path",
            ensemble="@ensemble",
        ),
        "split": "testing",
        "fold": 0,
        "patch_size": list(plan.patch_size.value),
        "patch_divisor": list(plan.patch_divisor),
        "overlap": plan.overlap.value,
        "sw_batch_size": 2 * plan.patches_per_pass,
        "test_time_flip_axes": list(plan.test_time_flip_axes.value),
        **parts.absent_channels(plan),
        "save_probabilities": False,
        "save_uncertainty": False,
        "overwrite": False,
        "memory": parts.MEMORY_GB,
        "postprocess": True,
        "postprocessing_path": expressions.POSTPROCESSING,
        "confidence_path": expressions.CONFIDENCE,
        "seed": plan.seed,
        "precision": plan.precision.value,
        "amp": "@precision",
        "engine": "torch",
        "device": expressions.DEVICE,
    }


def _data(plan: Plan) -> Config:
    return {
        "deterministic_transforms": deterministic_transforms(plan, with_label=False),
        "preprocessing": parts.compose("@deterministic_transforms"),
        "dataset": parts.dataset(parts.items("@split", channel_names=list(plan.channel_names)), "@preprocessing"),
        "dataloader": script(
            "predictions.loader.CaseLoader", dataset="@dataset", predictions="@predictions", memory="@memory"
        ),
    }


def _evaluator() -> Config:
    return {
        "handlers": [
            parts.checkpoint_loader(others="@ensemble_paths"),
            script("handlers.progress.EvaluationProgress", description="predict"),
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@ensemble_inferer",
            "iteration_update": "@case_by_case",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
    }
