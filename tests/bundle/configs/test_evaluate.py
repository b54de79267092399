from __future__ import annotations

from dataclasses import replace

from monai.bundle import ConfigParser

from mist_bundle.bundle.configs.evaluate import evaluate_config
from mist_bundle.bundle.configs.train import train_config
from tests.planning.plans import small_plan


def test_the_overlay_changes_ids_that_train_json_has() -> None:
    plan = small_plan()
    parser = ConfigParser(train_config(plan, "name", "id", ".."))
    changed = [key for key in evaluate_config(plan) if "#" in key]
    assert changed
    for key in changed:
        assert parser[key.rpartition("#")[0]] is not None, key


def test_the_fold_that_no_training_saw_is_predicted_without_heads() -> None:
    plan = small_plan(network="nnunet", deep_supervision_heads=1, patch_size=(32, 32, 32))
    config = evaluate_config(plan)
    assert config["validate#dataset"]["data"]["split"] == "test"
    assert config["network_def"]["deep_supervision"] is False
    assert config["ckpt_path"] == "@fold_path"


def test_ignored_voxels_are_not_scored() -> None:
    (scores,) = (handler for handler in evaluate_config(small_plan())["validate#handlers"] if "metrics" in handler)
    assert "ignore_label" not in scores
    handlers = evaluate_config(replace(small_plan(), ignore_label=5))["validate#handlers"]
    assert handlers[-1]["ignore_label"] == 5
