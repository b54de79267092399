"""The handlers of the trainer in train.json."""

from __future__ import annotations

from mist_bundle.bundle import expressions
from mist_bundle.bundle.configs.loss import weighting_handlers
from mist_bundle.bundle.configs.parts import Config, script
from mist_bundle.bundle.configs.validation import METRIC
from mist_bundle.planning.plan import Plan


def train_handlers(plan: Plan, name: str) -> list[Config]:
    """Return the handlers of the trainer, in the order in which they are attached.

    Args:
        plan: of the bundle.
        name: of the bundle, for trackers.
    """
    handlers: list[Config] = [
        script(
            "handlers.prepared_cases.PreparedCases",
            loader="@train#dataloader",
            dataset="@validate#dataset",
            evaluator="@validate#evaluator",
            rank="@rank",
        ),
        script(
            "handlers.training_record.TrainingRecord",
            loader="@train#dataloader",
            dataset="@validate#dataset",
            fold_dir="@fold_dir",
            settings="@checkpoints#settings",
            device="@device",
            rank="@rank",
            world_size="@world_size",
        ),
        *weighting_handlers(plan),
        script("handlers.gradients.FiniteLossGuard", loader="@train#dataloader"),
        script("handlers.gradients.GradientRules", max_norm="@grad_clip_norm", l1_penalty="@l1_penalty"),
        {**script("handlers.average.AverageWeights", handler="@average"), "_disabled_": expressions.NO_AVERAGE},
        script("handlers.schedule.ScheduleStepper", lr_scheduler="@lr_scheduler"),
        *_validations(),
        script(
            "handlers.round_weights.RoundWeights",
            network="@network",
            models_dir="@models_dir",
            evaluator="@validate#evaluator",
            metric=METRIC,
            averaged_network="@checkpoints#averaged_network",
            training_only_keys="@checkpoints#training_only_keys",
            rank="@rank",
        ),
        script(
            "handlers.progress.TrainingProgress",
            class_names=list(plan.foreground_names),
            log_dir="@fold_dir",
            evaluator="@validate#evaluator",
            optimizer="@optimizer",
            metric=METRIC,
            rank="@rank",
            tracker="@tracker",
            run_name=name,
        ),
    ]
    if plan.frozen_parts is not None:
        frozen = script(
            "handlers.freeze.FreezeParts",
            network="@network",
            parts=list(plan.frozen_parts.value),
            epochs="@frozen_epochs",
        )
        handlers.insert(0, frozen)  # before the clipping: frozen parameters do not count in the norm
    return handlers


def _validations() -> list[Config]:
    """Return the handlers that validate: every few epochs, and at the end."""
    return [
        {
            "_target_": "ValidationHandler",
            "_disabled_": expressions.NO_VALIDATION_CASES,
            "validator": "@validate#evaluator",
            "epoch_level": True,
            "interval": "@val_interval",
        },
        {
            **script("handlers.final_validation.FinalValidation", validator="@validate#evaluator"),
            "_disabled_": expressions.NO_VALIDATION_CASES,
        },
    ]
