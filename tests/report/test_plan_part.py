"""The plan in words, and the commands that make it again."""

from __future__ import annotations

import shlex
from typing import Any

from mist_bundle import cli
from mist_bundle.api.arguments import arguments_of
from mist_bundle.cli.arguments import sort_words
from mist_bundle.files import read_json
from mist_bundle.report.plan_part import plan_section, plan_words
from mist_bundle.report.reproduce_part import asked_options
from tests.report.conftest import LIVER, Made
from tests.report.pages import Page


def _plan(made: Made) -> dict[str, Any]:
    plan: dict[str, Any] = read_json(made.bundle / "configs" / "plan.json")
    return plan


def test_words_hold_the_numbers_of_the_plan(untrained: Made) -> None:
    plan = _plan(untrained)
    text = " ".join(plan_words(plan))
    patch, spacing = (plan["decisions"][name]["value"] for name in ("patch_size", "target_spacing_mm"))
    extent = [f"{side * length:.0f}" for side, length in zip(patch, spacing, strict=True)]
    assert f"blocks of {' × '.join(map(str, patch))} voxels ({' × '.join(extent)} mm" in text
    assert "cut to the box around the body" in text
    assert LIVER in text
    assert "in 5 epochs of 100 steps with 2 patches each" in text
    assert "divided into 2 groups" in text


def test_words_follow_the_decisions(untrained: Made) -> None:
    plan = _plan(untrained)
    decided = plan["decisions"]
    decided["crop_to_foreground"]["value"] = False
    decided["regions"]["value"] = False
    decided["normalize_nonzero"]["value"] = True
    decided["intensity_windows"]["value"] = [{"low": 0.0, "high": 1.0}]
    text = " ".join(plan_words(plan))
    assert "cut to the box" not in text
    assert "one label for each voxel" in text
    assert "limits common to all cases" in text
    assert "counting voxels other than 0" in text
    plan["skip_preprocessing"] = True
    assert "Images are used as they are" in " ".join(plan_words(plan))


def test_every_decision_stands_once_in_one_of_the_tables(untrained: Made) -> None:
    plan = _plan(untrained)
    page = Page(plan_section(plan))
    heads = [attributes for attributes in page.all("th") if attributes.get("scope") == "row"]
    assert len(heads) == len(plan["decisions"])


def test_options_that_were_asked_for_are_typed_as_autoconfig_takes_them(untrained: Made) -> None:
    plan = _plan(untrained)
    asked = {
        "target_spacing_mm": ([1.0, 1.5, 2.0], "Asked for; the rule gives 1 x 1 x 1 mm."),
        "loss": ("my loss.py:Loss", "Asked for."),
        "residual": (True, "Asked for."),
        "compile": (False, "Asked for."),
        "loss_class_weights": ([0.5, 1, 2], "Asked for."),
        "weight_decay": (0.1, "Default of recipe 'quick'."),
    }
    for name, (value, because) in asked.items():
        plan["decisions"][name] = {"value": value, "because": because}
    plan["ignore_label"] = 9
    words = shlex.split(asked_options(plan))
    assert not sort_words(arguments_of(cli.VERBS["autoconfig"]), ["dataset.json", *words])[2]
    given = " ".join(words)
    assert "--target_spacing 1.0,1.5,2.0" in given
    assert "--loss my loss.py:Loss" in given
    assert "--residual" in words
    assert "--nocompile" in words
    assert "--class_weights 0.5,1,2" in given
    assert "--ignore_label 9" in given
    assert "--weight_decay" not in words
