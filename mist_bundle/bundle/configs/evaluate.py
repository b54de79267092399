"""evaluate.json: an overlay on train.json that predicts the held-out fold on its own grid and scores it there."""

from __future__ import annotations

from mist_bundle.bundle import expressions
from mist_bundle.bundle.configs import parts
from mist_bundle.bundle.configs.parts import Config, script
from mist_bundle.bundle.configs.transforms import deterministic_transforms, restore_and_save
from mist_bundle.catalog.metrics import DEFAULT_METRICS
from mist_bundle.planning.plan import Plan


def evaluate_config(plan: Plan) -> Config:
    """Return what differs from train.json to evaluate the cases of `fold`, which no training of that fold has seen."""
    return {
        "fold_path": script("folds.weights.weights_of_fold", models_dir="@models_dir", fold="@fold"),
        "ckpt_path": "@fold_path",
        "network_def": parts.network(plan, training=False),
        "evaluated_network": "@network",
        "test_time_flip_axes": list(plan.test_time_flip_axes.value),
        "save_probabilities": False,
        "save_uncertainty": False,
        "memory": parts.MEMORY_GB,
        # in the work folder: predictions of other weights are replaced
        "overwrite": True,
        "predictions": parts.predictions(weight_files=["@ckpt_path"], settings=parts.absent_reference(plan)),
        "maps": parts.maps(),
        "case_by_case": parts.case_by_case(),
        **parts.absent_channels(plan),
        "metrics": list(DEFAULT_METRICS),
        "metric_options": {},
        "both_empty": "best",
        "one_empty": "worst",
        "empty_distance_mm": None,
        "final_classes": dict(plan.final_classes),
        "validate#deterministic_transforms": deterministic_transforms(plan, with_label=False),
        "validate#preprocessing": parts.compose("@validate#deterministic_transforms"),
        "validate#dataset": parts.dataset(parts.items("test"), "@validate#preprocessing"),
        "validate#dataloader": script(
            "predictions.loader.CaseLoader",
            dataset="@validate#dataset",
            predictions="@predictions",
            sampler="@validate#sampler",
            memory="@memory",
        ),
        "validate#evaluator#iteration_update": "@case_by_case",
        "validate#inferer": parts.autocast(
            parts.segment(plan, flip_axes="@test_time_flip_axes", uncertainty="@save_uncertainty")
        ),
        "validate#postprocessing": parts.compose(restore_and_save(plan)),
        "validate#key_metric": None,
        "validate#handlers": _handlers(plan),
        "run": [parts.CHECKED, *parts.RUN_FOLD_CASE_BY_CASE],
        "evaluating": expressions.RUN_LIST,
    }


def _handlers(plan: Plan) -> list[Config]:
    scores = script(
        "handlers.score.ScoreCases",
        cases="@case_by_case",
        output_path=expressions.FOLD_RESULTS,
        final_classes="@final_classes",
        metrics="@metrics",
        options="@metric_options",
        both_empty="@both_empty",
        one_empty="@one_empty",
        empty_distance_mm="@empty_distance_mm",
        labels=list(plan.labels),
        rank="@rank",
        scored_weights="@ckpt_path",
    )
    if plan.ignore_label is not None:
        scores["ignore_label"] = plan.ignore_label
    return [
        parts.checkpoint_loader(),
        script("handlers.progress.EvaluationProgress", description=expressions.FOLD_TITLE, rank="@rank"),
        scores,
    ]
