from __future__ import annotations

from dataclasses import replace

import pytest

from mist_bundle.bundle import expressions
from mist_bundle.bundle.configs.train import (
    OF_THE_MACHINE,
    cache,
    multi_gpu_evaluate_config,
    multi_gpu_train_config,
    train_config,
)
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.plan import Plan
from tests.planning.plans import small_plan


def _train(plan: Plan) -> dict:
    return train_config(plan, "name", "id", "..")


def test_a_resumed_training_keeps_all_settings_but_those_of_the_machine() -> None:
    config = _train(small_plan())
    kept = set(config["checkpoints"]["settings"])
    assert {"batch_size", "learning_rate", "seed", "patch_size"} <= kept
    assert not kept & OF_THE_MACHINE
    assert set(config) >= OF_THE_MACHINE - {"output_dir"}


def test_the_recipes_warm_up_is_a_share_of_the_run_and_the_users_a_number() -> None:
    share = _train(small_plan(recipe="mist2"))
    assert share["warmup_fraction"] == 0.02
    assert share["warmup_steps"] == expressions.WARMUP_STEPS
    number = _train(small_plan(recipe="mist2", warmup_steps=7))
    assert number["warmup_steps"] == 7
    assert "warmup_fraction" not in number


def test_initial_weights_are_loaded_before_the_checkpoints_attach() -> None:
    plan = replace(
        small_plan(),
        initial_weights=Decision("other", ""),
        frozen_epochs=Decision(3, ""),
        frozen_parts=Decision(("encoder",), ""),
        layer_rates={"encoder": 0.5},
    )
    config = _train(plan)
    assert config["run"].index(expressions.LOAD_INITIAL_WEIGHTS) < config["run"].index(expressions.ATTACH_CHECKPOINTS)
    assert config["train"]["handlers"][0]["parts"] == ["encoder"]
    assert config["frozen_epochs"] == 3
    assert config["optimizer"]["params"] == "@parameter_groups"
    assert expressions.LOAD_INITIAL_WEIGHTS not in _train(small_plan())["run"]


@pytest.mark.parametrize(("loss", "keys"), [("dice", ["image", "label"]), ("boundary", ["image", "label", "dtm"])])
def test_the_cache_holds_distance_maps_if_the_loss_needs_them(loss: str, keys: list[str]) -> None:
    assert cache(small_plan(loss=loss))["keys"] == keys


def test_several_processes_join_before_they_run_and_part_afterwards() -> None:
    for config in (multi_gpu_train_config(small_plan()), multi_gpu_evaluate_config()):
        assert config["run"][1:3] == [expressions.JOIN_PROCESSES, expressions.USE_OWN_DEVICE]
        assert config["finalize"] == [expressions.LEAVE_PROCESSES]


def test_instances_are_balanced_where_that_was_chosen() -> None:
    assert "balance_instances" not in cache(small_plan())
    assert "balance_instances" not in cache(small_plan(patch_sampling="class"))
    plan = small_plan(patch_sampling="instance")
    assert cache(plan)["balance_instances"] is True
