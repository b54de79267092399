"""Everything that follows the configuration; tests/api/test_configure.py runs the whole of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.bundle import placement
from mist_bundle.pipeline import shares
from mist_bundle.pipeline.run_all import _evaluating_processes, _page


@pytest.mark.parametrize(
    ("visible", "parallel", "processes"),
    [([], 1, None), ([], 2, 2), (["0"], 2, 2), (["0", "1"], 2, None), (["0", "1", "2", "3"], 2, None)],
)
def test_cases_are_shared_among_as_many_processes_as_trained_side_by_side(
    monkeypatch: pytest.MonkeyPatch, fresh_bundle: Path, visible: list[str], parallel: int, processes: int | None
) -> None:
    for module in (placement, shares):
        monkeypatch.setattr(module, "visible_devices", lambda: visible)
    assert _evaluating_processes(fresh_bundle, {"device": None}, parallel) == processes


def test_the_page_or_the_reason_why_there_is_none(own_bundle: Path) -> None:
    page = _page(own_bundle)
    assert Path(page).is_file()
    (own_bundle / "configs" / "plan.json").write_text("{")
    assert _page(own_bundle).startswith("none (")
    assert "plan.json" in _page(own_bundle)
