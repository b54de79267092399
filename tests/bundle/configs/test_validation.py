"""The evaluator that chooses the best epoch."""

from __future__ import annotations

from mist_bundle.bundle.configs.validation import METRIC, validate_config
from tests.planning.plans import small_plan


def _handlers(**options: object) -> list[str]:
    handlers = validate_config(small_plan(**options))["handlers"]
    return [handler["_target_"].rpartition(".")[2] for handler in handlers]


def test_the_best_epoch_is_chosen_by_the_mean_dice() -> None:
    config = validate_config(small_plan())
    assert list(config["key_metric"]) == [METRIC]
    compared = config["key_metric"][METRIC]["metric_fn"]
    assert compared["num_classes"] == small_plan().num_classes


def test_distance_maps_are_validated_where_the_loss_needs_them() -> None:
    assert "mapped" not in validate_config(small_plan(loss="dice"))["dataset"]
    assert validate_config(small_plan(loss="boundary"))["dataset"]["mapped"] == ["dtm"]


def test_lesions_are_counted_in_trainings_for_small_lesions() -> None:
    assert _handlers() == ["ValidationLoss"]
    assert _handlers(loss="blob") == ["ValidationLoss", "LesionDetection"]
    assert _handlers(patch_sampling="instance") == ["ValidationLoss", "LesionDetection"]
