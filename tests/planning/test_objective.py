"""What the network learns and how its errors count: regions or labels, weights, maps, and what does not go together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mist_bundle.catalog.losses import LOSSES
from mist_bundle.planning.objective import decide_regions, region_order
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


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_maps_are_made_for_the_losses_that_need_them(name: str) -> None:
    plan = small_plan(loss=name)
    assert plan.distance_maps.value is ("distance_maps" in LOSSES[name].needs)
    assert plan.composite_weighting.value == ("constant" if LOSSES[name].base else "none")


def test_automatic_weights_keep_the_scale_of_the_loss() -> None:
    weights = small_plan(classes=("background", "a", "b"), class_weights="auto").loss_class_weights.value
    assert sum(weights) / len(weights) == pytest.approx(1.0)
