"""What the settings of a bundle may be: every id that can be overridden has a row, which holds what is written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mist_bundle.bundle.configs.evaluate import evaluate_config
from mist_bundle.bundle.configs.inference import inference_config
from mist_bundle.bundle.configs.preprocess import preprocess_config
from mist_bundle.bundle.configs.train import train_config
from mist_bundle.catalog.precisions import PRECISIONS
from mist_bundle.catalog.schedules import SCHEDULES
from mist_bundle.planning.options import OPTIONS
from mist_bundle.runtime import settings
from mist_bundle.runtime.handlers.schedule import SHAPES
from mist_bundle.runtime.inferers import autocast
from mist_bundle.runtime.loading.datalist import SPLITS
from mist_bundle.runtime.settings import SETTINGS, setting_problem
from tests.planning.plans import small_plan

# of the bundle itself, or of torchrun: nothing that a user sets
OWN = {"bundle_id", "bundle_root", "rank", "world_size"}


def _configs() -> list[dict[str, Any]]:
    plan = small_plan()
    complete = [make(plan, "name", "id", "..") for make in (train_config, inference_config, preprocess_config)]
    return [*complete, evaluate_config(plan)]


def _is_setting(value: Any) -> bool:
    """Whether it is a plain value: neither a reference or expression, nor made of components."""
    text = json.dumps(value)
    return value is not None and "_target_" not in text and '"$' not in text and '"@' not in text and '"%' not in text


@pytest.mark.parametrize("config", _configs(), ids=["train", "inference", "preprocess", "evaluate"])
def test_every_id_that_holds_a_value_has_a_row_that_accepts_it(config: dict[str, Any]) -> None:
    for name, value in config.items():
        if _is_setting(value) and name not in OWN and "#" not in name:
            assert name in SETTINGS, f"{name} has no row"
        assert setting_problem(name, value) is None, name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("epochs", "abc"), ("epochs", 0), ("epochs", -3), ("epochs", 2.5), ("epochs", True), ("learning_rate", -1)),
        *(("batch_size", 0), ("device", "gpu0"), ("device", "cuda:x"), ("seed", -1), ("seed", 2**32), ("overlap", 2)),
        *(("overlap", 1), ("workers", 0), ("ensemble", "perhaps"), ("patch_size", [16, 16]), ("patch_size", "big")),
        *(("patch_size", [5000, 5000, 5000]), ("patch_size", [2048, 2048, 2048]), ("test_time_flip_axes", [0, 3])),
        *(("split", "tests"), ("schedule", "cosinus"), ("precision", "fp8"), ("both_empty", "zero"), ("fold", -1)),
        *(("metric_options", "{bad"), ("ema_decay", 1), ("dataset_dir", ""), ("epochs", None)),
    ],
)
def test_refused(name: str, value: Any) -> None:
    assert setting_problem(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("epochs", "5"), ("epochs", "$2 * 3"), ("epochs", "@steps_per_epoch"), ("device", "cuda:1"), ("overlap", 0)),
        *(("ensemble", "no"), ("patch_size", "16,16,16"), ("patch_size", 16), ("empty_distance_mm", None)),
        *(("amp", True), ("amp", "bf16"), ("amp", "false"), ("own_id", object()), ("seed", 2**32 - 1)),
    ],
)
def test_accepted(name: str, value: Any) -> None:
    assert setting_problem(name, value) is None


def test_options_of_the_planner_have_the_bounds_of_the_settings_of_the_same_name() -> None:
    shared = set(OPTIONS) & set(SETTINGS)
    assert len(shared) > 12
    # words are held by the test below; memory is that of a device in a plan, and that of predictions in a run
    for name in shared - {"schedule", "precision", "memory"}:
        assert OPTIONS[name].kind == SETTINGS[name], name


def test_words_are_those_that_the_modules_know() -> None:
    assert tuple(SETTINGS["schedule"].choices) == SHAPES == tuple(SCHEDULES)  # type: ignore[attr-defined]
    assert settings.PRECISIONS == autocast.PRECISIONS == tuple(PRECISIONS)
    assert set(SETTINGS["split"].choices) == set(SPLITS)  # type: ignore[attr-defined]
