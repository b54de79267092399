"""Verbs that list the menus."""

from __future__ import annotations

import pytest

from mist_bundle.catalog.augmentations import AUGMENTATIONS
from mist_bundle.catalog.optimizers import OPTIMIZERS
from mist_bundle.catalog.schedules import SCHEDULES
from mist_bundle.cli import menu


@pytest.mark.parametrize(
    ("verb", "rows"),
    [(menu.optimizers, OPTIMIZERS), (menu.schedules, SCHEDULES), (menu.augmentations, AUGMENTATIONS)],
)
def test_a_line_for_each_row_with_its_explanation(verb, rows, capsys: pytest.CaptureFixture[str]) -> None:
    verb()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(rows)
    for line, row in zip(lines, rows.values(), strict=True):
        assert row.about in line
        assert not row.cite or line.endswith(f"[{row.cite}]")
