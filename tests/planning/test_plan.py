from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mist_bundle.errors import InputError
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.plan import OPTIONAL_FIELDS, Plan
from tests.planning.plans import small_plan


def test_outputs_are_labels_or_regions() -> None:
    plan = small_plan(classes=("background", "a", "b"))
    assert plan.output_names == ("background", "a", "b")
    assert plan.foreground_names == ("a", "b")
    assert plan.region_indices is None
    regions = replace(plan, labels=(0, 1, 4), final_classes={"whole": (1, 4), "core": (4,)}, regions=Decision(True, ""))
    assert regions.output_names == ("whole", "core")
    assert regions.foreground_names == ("whole", "core")
    assert regions.region_indices == [[1, 2], [2]]


@pytest.mark.parametrize(("batch_size", "passes", "expected"), [(2, 1, 2), (8, 4, 2), (5, 2, 3)])
def test_patches_per_pass(batch_size: int, passes: int, expected: int) -> None:
    assert small_plan(batch_size=batch_size, accumulation_steps=passes).patches_per_pass == expected


def test_ignored_voxels_follow_the_last_class() -> None:
    plan = small_plan()
    assert plan.ignore_index is None
    assert replace(plan, ignore_label=7).ignore_index == 2


def test_the_bundle_id_changes_with_every_decision() -> None:
    plan = small_plan()
    again = small_plan()
    other = replace(plan, seed=plan.seed + 1)
    assert plan.to_json()["bundle_id"] == again.to_json()["bundle_id"] != other.to_json()["bundle_id"]


def test_optional_fields_are_omitted_and_come_back_as_none() -> None:
    content = json.loads(json.dumps(small_plan().to_json()))
    assert not {"initial_weights", "warnings"} & (set(content) | set(content["decisions"]))
    plan = Plan.from_json(content)
    assert all(getattr(plan, name) is None for name in OPTIONAL_FIELDS - {"training_ranges"})


def test_another_json_file_is_no_plan() -> None:
    with pytest.raises(InputError, match="it has no plan_version"):
        Plan.from_json({"task": "liver"})
