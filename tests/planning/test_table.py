"""Decisions as text: rows for what has a reason of its own, the rest in a few lines, none lost or said twice."""

from __future__ import annotations

import re

import pytest

from mist_bundle.planning.table import decision_rows, decisions_text, is_plain, markdown_table, text_table
from tests.planning.plans import small_plan


@pytest.mark.parametrize("recipe", ["paper", "quick"])
def test_every_decision_is_said_once(recipe: str) -> None:
    plan = small_plan(recipe=recipe)
    text = decisions_text(plan)
    table, _, rest = text.partition(f"The rest by recipe {recipe!r}: ")
    in_rows = [re.split(r" {2,}", line)[0] for line in table.splitlines() if line and not line.startswith(" ")]
    rest = " ".join(rest.split())
    for name, value, _ in decision_rows(plan):
        is_off = value in ("no", "none", "0") or name == "class weights"  # which nothing uses here
        assert (name in in_rows) != (f"{name} {value}" in rest) or is_off, name
    assert "loss class weights" not in text
    assert " none" not in rest
    assert len(in_rows) == len(set(in_rows)) < 30
    assert {"network", "loss", "epochs", "batch size", "learning rate"} <= set(in_rows)
    assert max(map(len, text.splitlines())) <= 120


def test_the_table_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, decisions_text(small_plan()).splitlines())) <= 80
    plan = small_plan(classes=("background", "a", "b"), class_weights="auto")
    assert "class weights" in decisions_text(plan)


def test_chosen_options_have_a_row() -> None:
    assert is_plain("weight_decay", "Default of recipe 'quick'.")
    assert is_plain("vae", "Off by default.")
    assert not is_plain("weight_decay", "Chosen by the user.")
    assert not is_plain("network", "Default of recipe 'quick'.")
    assert not is_plain("warmup_steps", "Default of recipe 'quick'. It is 5% of all steps, however long the run is.")


def test_columns_stand_under_each_other() -> None:
    rows = [("a", "1", "because " * 12), ("longer name", "2 x 2", "short"), ("b", "v" * 50, "after a long value")]
    lines = text_table(rows, width=90).splitlines()
    place = lines[0].index("because")
    assert all(line[place - 1] == " " and line[place] != " " for line in lines if "v" * 50 not in line)
    assert max(len(line) for line in lines if "v" * 50 not in line) <= 90
    assert markdown_table([("a|b", "1", "c")]).splitlines()[-1] == "| a\\|b | 1 | c |"
