"""Every metric on the menu has a name, a unit and a meaning that a page can show."""

from __future__ import annotations

import pytest

from mist_bundle.catalog.metrics import METRICS
from mist_bundle.report.metric_words import axis_label, meanings, title_of, with_unit
from tests.report.pages import Page


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_is_explained(metric: str) -> None:
    text = Page(meanings([metric])).text
    assert text.startswith(f"What the scores mean {title_of(metric)} ")
    assert "is perfect" in text
    assert "(default)" not in text
    better = METRICS[metric].better
    assert f"{better} is better" in axis_label(metric)
    # a ratio is perfect at 1, and what counts errors at 0
    assert f"{1 if better == 'higher' else 0} " in text.split(".")[-2]


def test_names_for_people() -> None:
    assert with_unit("hd95") == "HD95, mm"
    assert with_unit("lesion_hd95") == "lesion HD95, mm"
    assert with_unit("surface_dice") == "surface Dice"
    assert with_unit("volume_difference") == "volume difference, ml"
    assert with_unit("my_own") == "my own", "metrics that are not on the menu keep their name"
    assert meanings(["my_own"]) == ""
