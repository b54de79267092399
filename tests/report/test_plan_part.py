"""The plan in words and as tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.plan import Plan
from mist_bundle.report.plan_part import plan_section, plan_words
from tests.report.conftest import LIVER, Made
from tests.report.pages import Page


def _plan(made: Made) -> Plan:
    return Bundle(made.bundle).plan


def _decided(plan: Plan, **values: Any) -> Plan:
    """The plan with other decisions."""
    return replace(plan, **{name: Decision(value=value, because="A test.") for name, value in values.items()})


def test_words_hold_the_numbers_of_the_plan(untrained: Made) -> None:
    plan = _plan(untrained)
    text = " ".join(plan_words(plan))
    patch, spacing = plan.patch_size.value, plan.target_spacing_mm.value
    extent = [f"{side * length:.0f}" for side, length in zip(patch, spacing, strict=True)]
    assert f"blocks of {' × '.join(map(str, patch))} voxels ({' × '.join(extent)} mm" in text
    assert "cropped to the box around the body" in text
    assert LIVER in text
    assert "in 5 epochs of 100 steps with 2 patches each" in text
    assert "divided into 2 groups" in text


def test_words_follow_the_decisions(untrained: Made) -> None:
    windows = ({"low": 0.0, "high": 1.0},)
    plan = _decided(
        _plan(untrained), crop_to_foreground=False, regions=False, normalize_nonzero=True, intensity_windows=windows
    )
    text = " ".join(plan_words(plan))
    assert "cropped to the box" not in text
    assert "a label for each voxel" in text
    assert "limits common to all cases" in text
    assert "computed over voxels other than 0" in text
    unprepared = replace(plan, skip_preprocessing=True)
    assert "Images are not preprocessed" in " ".join(plan_words(unprepared))


def test_every_decision_stands_once_in_one_of_the_tables(untrained: Made) -> None:
    plan = _plan(untrained)
    page = Page(plan_section(plan))
    heads = [attributes for attributes in page.all("th") if attributes.get("scope") == "row"]
    assert len(heads) == len(list(plan.decisions()))
