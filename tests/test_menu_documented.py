"""docs/menu.md, which `scripts/menu` writes, has a measured row for everything that can be chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mist_bundle.catalog.losses import LOSSES
from mist_bundle.catalog.networks import NETWORKS

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.mark.parametrize(("name", "menu"), [("networks", NETWORKS), ("losses", LOSSES)])
def test_every_row_was_measured(name: str, menu: dict[str, object]) -> None:
    measured = json.loads((DOCS / f"menu_{name}.json").read_text(encoding="utf-8"))
    assert sorted(measured) == sorted(menu), f"run scripts/menu {name}"
    page = (DOCS / "menu.md").read_text(encoding="utf-8")
    assert [row for row in menu if f"\n| {row} |" not in page] == []
