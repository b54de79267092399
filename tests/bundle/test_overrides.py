"""Overrides that a bundle does not know are refused with the nearest that it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.bundle.overrides import check_overrides, load_configs
from mist_bundle.errors import InputError

CONFIG = {"epochs": 3, "train": {"trainer": {"max_epochs": "@epochs"}, "handlers": [{"max_norm": 1.0}]}}


def test_known_ids_pass_at_any_depth() -> None:
    check_overrides(CONFIG, {"epochs": 5, "train#trainer#max_epochs": 2, "train::handlers::0::max_norm": 2})


def test_all_unknown_ids_are_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        check_overrides(CONFIG, {"epoch": 5, "train#trainer#max_epoch": 2, "train#handlers#7": 1})
    text = str(caught.value)
    assert len(caught.value.problems) == 3
    assert "Did you mean --epochs" in text
    assert "--train#trainer#max_epochs" in text


def test_overlays_replace_nested_ids(fresh_bundle: Path) -> None:
    files = [fresh_bundle / "configs" / name for name in ("train.json", "evaluate.json")]
    config = load_configs(files)
    assert config["validate"]["dataset"]["_target_"] == "Dataset"
    assert config["validate"]["evaluator"]["_target_"] == "SupervisedEvaluator", "untouched by the overlay"
    check_overrides(config, {"ckpt_path": "x", "metrics": ["dice"]})
