"""What the network learns and how its errors count: regions or labels, weights, maps, and what does not go together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mist_bundle.catalog.losses import LOSSES
from mist_bundle.planning.objective import decide_regions, objective_problems, region_order
from mist_bundle.planning.options import PlanOptions
from tests.planning.plans import small_plan

BRATS = {"WT": (1, 2, 3, 4), "TC": (1, 3, 4), "ET": (4,)}


@pytest.mark.parametrize(
    ("members", "labels", "asked", "regions"),
    [
        (BRATS, (0, 1, 2, 3, 4), None, True),
        (BRATS, (0, 1, 2, 3, 4), False, False),
        ({"a": (1,), "b": (2,)}, (0, 1, 2), None, False),
        ({"a": (1,), "b": (2,)}, (0, 1, 2), True, True),
        ({"a": (1,), "b": (2,), "whole": (1, 2)}, (0, 1, 2), None, False),
        ({"a": (1, 2), "b": (2, 3)}, (0, 1, 2, 3), None, False),
    ],
    ids=["brats", "brats not asked for", "apart", "apart asked for", "labels scored too", "crossing"],
)
def test_regions_where_what_is_scored_is_not_what_the_labels_are(
    members: dict[str, tuple[int, ...]], labels: tuple[int, ...], asked: bool | None, regions: bool
) -> None:
    assert decide_regions(members, labels, asked, None).value is regions


@given(st.permutations(list(BRATS)))
def test_regions_are_written_from_the_outside_in(names: list[str]) -> None:
    voxels = {"WT": 1000, "TC": 300, "ET": 100}
    order = region_order({name: BRATS[name] for name in names}, [voxels[name] for name in names])
    assert [names[index] for index in order] == ["WT", "TC", "ET"]


@pytest.mark.parametrize(
    ("asked", "path", "message"),
    [
        ({"loss": "dice", "composite_weighting": "linear"}, "--composite_weighting", "Composite are cldice, boundary"),
        ({"loss": "cldice", "composite_weighting": "liner"}, "--composite_weighting", "Did you mean 'linear'?"),
        ({"distance_maps_in_mm": True}, "--distance_maps_in_mm", "Those that do: boundary, hausdorff_one_sided"),
        ({"normalize_distance_maps": False}, "--normalize_distance_maps", "has no effect with the loss dice_ce"),
        ({"class_weights": "autos"}, "--class_weights", "expected auto, or numbers"),
        *(
            ({"class_weights": weights}, "--class_weights", "expected numbers of 0 or more, one of them above 0")
            for weights in ((), (1.0, -1.0), (0.0, 0.0), (float("nan"), 1.0), (float("inf"), 1.0))
        ),
    ],
)
def test_what_does_not_go_together(asked: dict[str, Any], path: str, message: str) -> None:
    (problem,) = objective_problems(PlanOptions(**asked))
    assert problem.path == path
    assert message in problem.message


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_maps_are_made_for_the_losses_that_need_them(name: str) -> None:
    plan = small_plan(loss=name)
    assert plan.distance_maps.value is ("distance_maps" in LOSSES[name].needs)
    assert plan.composite_weighting.value == ("constant" if LOSSES[name].base else "none")


def test_automatic_weights_keep_the_scale_of_the_loss() -> None:
    weights = small_plan(classes=("background", "a", "b"), class_weights="auto").loss_class_weights.value
    assert sum(weights) / len(weights) == pytest.approx(1.0)
