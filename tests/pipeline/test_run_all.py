"""Everything that follows the configuration; tests/api/test_data.py runs the whole of it."""

from __future__ import annotations

from pathlib import Path

from mist_bundle.pipeline.run_all import _page


def test_the_page_or_the_reason_why_there_is_none(own_bundle: Path) -> None:
    page = _page(own_bundle)
    assert Path(page).is_file()
    (own_bundle / "configs" / "plan.json").write_text("{")
    assert _page(own_bundle).startswith("none (")
    assert "plan.json" in _page(own_bundle)
