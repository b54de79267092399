"""The handlers of the trainer, whose order matters."""

from __future__ import annotations

from dataclasses import replace

from mist_bundle.bundle.configs.train_handlers import train_handlers
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.plan import Plan
from tests.planning.plans import small_plan


def _names(plan: Plan) -> list[str]:
    return [handler["_target_"].rpartition(".")[2] for handler in train_handlers(plan, "name")]


def test_the_loss_is_checked_before_gradients_are_clipped_and_averaged() -> None:
    names = _names(small_plan())
    assert names.index("FiniteLossGuard") < names.index("GradientRules") < names.index("AverageWeights")
    assert names.index("ScheduleStepper") < names.index("ValidationHandler")
    assert names[-1] == "TrainingProgress"


def test_parts_are_frozen_before_gradients_are_clipped() -> None:
    plan = replace(small_plan(), frozen_parts=Decision(("encoder",), ""), frozen_epochs=Decision(3, ""))
    names = _names(plan)
    assert names[0] == "FreezeParts"
    assert "FreezeParts" not in _names(small_plan())


def test_the_share_of_a_composite_loss_follows_the_epoch() -> None:
    assert len(_names(small_plan(loss="boundary"))) > len(_names(small_plan(loss="dice")))
