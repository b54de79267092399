"""What a plan says is what is done: every decision is compared with the configuration that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mist_bundle.bundle.configs.inference import inference_config
from mist_bundle.bundle.configs.train import train_config
from mist_bundle.bundle.overrides import has_id
from mist_bundle.catalog.augmentations import AUGMENTATIONS
from mist_bundle.catalog.choice import find_choice
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.catalog.optimizers import OPTIMIZERS
from mist_bundle.planning.plan import Plan
from tests.planning.plans import small_plan

Config = Mapping[str, Any]


def _transform(config: Config, name: str) -> dict[str, Any] | None:
    """The first deterministic transform of a class."""
    steps = config["train"]["deterministic_transforms"]
    return next((step for step in steps if step["_target_"].endswith(f".{name}")), None)


def _argument(name: str, key: str) -> Callable[[Config, Config], Any]:
    return lambda train, inference: (_transform(train, name) or {}).get(key)


def _there(name: str) -> Callable[[Config, Config], bool]:
    return lambda train, inference: _transform(train, name) is not None


def _text(config: Config) -> str:
    return repr(config)


# decision -> what the configuration says; a list in JSON is a tuple in a plan
READ: dict[str, Callable[[Config, Config], Any]] = {
    "crop_to_foreground": _there("CropToForegroundd"),
    "bias_correction": _there("BiasCorrectiond"),
    "normalize_nonzero": _there("NonzeroMaskd"),
    "target_spacing_mm": _argument("ResampleToSpacingd", "target_spacing"),
    "normalization": _argument("WindowNormalized", "mode"),
    "intensity_windows": lambda train, inference: (_transform(train, "WindowNormalized") or {}).get("window") or (),
    "distance_maps": _there("DistanceMapsd"),
    "regions": lambda train, inference: "regions" in train["validate"]["key_metric"]["val_mean_dice"]["metric_fn"],
    "vae": lambda train, inference: "with_vae" in _text(train),
    "flip_axes": lambda train, inference: train["train"]["augmentation"]["flip_axes"],
    "sigma_scale": lambda train, inference: inference["inferer"]["inferer"]["ensemble"]["inferer"]["sigma_scale"],
    **{
        name: (lambda train, inference, name=name: train[name])
        for name in (
            *("patch_size", "learning_rate", "schedule", "weight_decay", "l1_penalty", "grad_clip_norm"),
            *("accumulation_steps", "ema_decay", "early_stopping", "precision", "compile", "epochs"),
            *("steps_per_epoch", "batch_size", "val_interval", "overlap"),
        )
    },
    "test_time_flip_axes": lambda train, inference: inference["test_time_flip_axes"],
}
# said by a name: the configuration holds what the catalogue's row of that name says
NAMED: dict[str, Callable[[Plan, Config], bool]] = {
    "network": lambda plan, train: (
        find_choice(NETWORKS, plan.network.value).target.rsplit(".", 1)[1] in _text(train)
        or plan.network.value in ("nnunet", "nnunet-pocket")
    ),
    "optimizer": lambda plan, train: train["optimizer"]["_target_"] == OPTIMIZERS[plan.optimizer.value].target,
    "augmentation": lambda plan, train: (
        AUGMENTATIONS[plan.augmentation.value].kwargs.items() <= train["train"]["augmentation"].items()
    ),
}
# facts that are not settings of a configuration: what was measured, or where other decisions come from
ELSEWHERE = {
    "median_resampled_shape": "measured; patch_size follows from it",
    "class_weights": "measured; loss_class_weights says what the loss is given",
    "recipe": "where the other decisions come from",
    "val_fraction": "datalist.json: which fold validates on which cases",
    "loss": "tests/bundle/configs/test_loss.py",
    "composite_weighting": "tests/bundle/configs/test_loss.py",
    "loss_class_weights": "tests/bundle/configs/test_loss.py",
    "residual": "tests/planning/test_networks.py: an argument of the network",
    "deep_supervision_heads": "tests/planning/test_networks.py: an argument of the network",
    "warmup_steps": "a share of the run where the recipe decides: tests/planning/test_optimisation.py",
}
PLANS: dict[str, dict[str, Any]] = {
    **{recipe: {"recipe": recipe} for recipe in ("paper", "mist2", "brats2024", "quick")},
    "skipped": {"skip_preprocessing": True},
    "asked": {
        "bias_correction": True,
        "target_spacing": (1.5, 1.5, 2.0),
        "flip_axes": (1,),
        "loss": "boundary",
        "vae": True,
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "schedule": "polynomial",
        "compile": True,
        "precision": "bf16",
        "accumulation_steps": 2,
        "augmentation": "none",
    },
}


@pytest.mark.parametrize("name", sorted(PLANS))
def test_every_decision_is_what_the_configuration_does(name: str) -> None:
    plan = small_plan(**{"recipe": "paper", **PLANS[name]})
    train = train_config(plan, "name", "id", "..")
    inference = inference_config(plan, "name", "id", "..")
    for decision, decided in plan.decisions():
        if decision in ELSEWHERE:
            continue
        if decision in NAMED:
            assert NAMED[decision](plan, train), decision
            continue
        done = READ[decision](train, inference)
        if decision == "target_spacing_mm" and plan.skip_preprocessing:
            assert done is None, "files are read as they are"
        elif decision == "normalization" and plan.skip_preprocessing:
            assert (decided.value, done) == ("none", None)
        else:
            assert _plain(done) == _plain(decided.value), decision


def test_shared_settings_agree_between_training_and_inference() -> None:
    plan = small_plan()
    train, inference = train_config(plan, "name", "id", ".."), inference_config(plan, "name", "id", "..")
    for name in ("patch_size", "overlap", "seed", "precision", "patch_divisor"):
        assert has_id(inference, name)
        assert train[name] == inference[name]


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return dict(value) if isinstance(value, Mapping) else value
