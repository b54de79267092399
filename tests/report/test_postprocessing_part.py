"""The effect of post-processing, from the files that choosing one leaves behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.bundle.folder import Bundle
from mist_bundle.files import write_json
from mist_bundle.planning.plan import Plan
from mist_bundle.report.postprocessing_part import postprocessing_section
from tests.report.conftest import Made
from tests.report.pages import Page

STEP = {"transform": "remove_small_objects", "apply_to_labels": [1, 3], "per_label": False, "kwargs": {"min_size": 20}}
CHOICE: dict[str, Any] = {
    "strategy": [STEP],
    "because": "Gains 0.0123 of quality in 2 folds <each>.",
    "gain": 0.0123,
    "gain_by_fold": {"0": 0.01, "1": 0.0146},
    "held_out_gain": 0.009,
    "weights": {"dice": 1.0, "hd95": 0.5},
    "candidates": [
        {**STEP, "gain": 0.0123},
        {
            "transform": "fill_holes_with_label",
            "apply_to_labels": "all",
            "per_label": True,
            "kwargs": {},
            "gain": -0.001,
        },
    ],
}
CHANGE = {
    "change": 0.0123,
    "columns": {"liver_dice": {"before": 0.8, "after": 0.85}, "liver_hd95": {"before": 12.0, "after": 9.5}},
    "improved": ["a", "b", "c"],
    "worsened": ["d"],
}


@pytest.fixture(scope="module")
def plan(untrained: Made) -> Plan:
    names = ("background", "liver", "tumour")
    classes = {"liver": (1, 3), "tumour": (3,)}
    return replace(Bundle(untrained.bundle).plan, labels=(0, 1, 3), label_names=names, final_classes=classes)


def test_a_choice_with_its_effect(tmp_path: Path, plan: Plan) -> None:
    write_json(tmp_path / "postprocessing" / "choice.json", CHOICE)
    write_json(tmp_path / "postprocessing" / "change.json", CHANGE)
    text = Page(postprocessing_section(tmp_path, plan, "b")).text
    assert "Gains 0.0123 of quality in 2 folds <each>." in text
    assert "1 remove small objects liver, tumour together min size 20 Components below min_size" in text
    assert "liver Dice 0.800 0.850 +0.050" in text
    assert "liver HD95, mm 12.0 9.5 -2.5" in text
    assert "cases improved 3 cases worsened 1" in text
    assert "fill holes with label all labels – -0.001" in text


def test_nothing_was_worth_it(tmp_path: Path, plan: Plan) -> None:
    choice = {**CHOICE, "strategy": [], "because": "No step of the grid helps in every fold.", "gain": 0.0}
    write_json(tmp_path / "postprocessing" / "choice.json", choice)
    text = Page(postprocessing_section(tmp_path, plan, "b")).text
    assert "No step of the grid helps in every fold." in text
    assert "Predictions are not post-processed." in text


def test_not_chosen_yet(tmp_path: Path, plan: Plan) -> None:
    text = Page(postprocessing_section(tmp_path, plan, "b")).text
    assert "Run: mist-bundle choose_postprocessing b" in text
