"""Paths as the API receives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.api.paths import absolute_text, optional_path


def test_text_and_paths_mean_the_same() -> None:
    assert optional_path("a/b") == optional_path(Path("a/b")) == Path("a/b")
    assert optional_path(None) is None


def test_a_relative_path_means_the_same_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_text("data") == str(tmp_path / "data")
    assert absolute_text(tmp_path) == str(tmp_path)
    assert absolute_text(None) is None
