"""Plans of models that other programs trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mist_bundle.planning.imported import adopt, plan_without_cases
from mist_bundle.planning.plan import Plan
from mist_bundle.transfer.nnunet_model import describe_data, describe_model
from mist_bundle.transfer.nnunet_results import read_results
from tests.transfer.nnunet_made import write_results


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Of a model with regions."""
    labels = {"background": 0, "whole": [1, 2], "core": 2}
    folder = write_results(tmp_path / "results", labels=labels, regions_class_order=[1, 2], mirror_axes=(0,))
    results, _ = read_results(folder)
    return plan_without_cases(describe_data(results, tmp_path / "cases"), describe_model(results))


def test_the_model_decides_and_every_decision_says_so(plan: Plan) -> None:
    assert plan.target_spacing_mm.value == (3.0, 1.5, 1.0)
    assert plan.patch_divisor == (2, 4, 4)
    assert plan.regions.value
    assert plan.region_labels == (1, 2)
    assert plan.region_order == (0, 1)
    assert plan.test_time_flip_axes.value == plan.flip_axes.value == (0,)
    assert plan.precision.value == "fp32"
    for name in ("network", "patch_size", "target_spacing_mm", "test_time_flip_axes"):
        assert getattr(plan, name).because == "As nnU-Net v2 trained it."


def test_plans_are_read_back(plan: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_warnings_of_the_data_stay(plan: Plan, tmp_path: Path) -> None:
    folder = write_results(tmp_path / "others")
    model = describe_model(read_results(folder)[0])
    adopted = adopt(plan, model)
    assert adopted.warnings is not None
    assert adopted.warnings[: len(plan.warnings or ())] == plan.warnings
    assert not adopted.normalize_nonzero.value
