"""Fixtures of the tests of datasets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataset.merging import dataset


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """A dataset of liver and tumour, and another of kidney and liver with other numbers."""
    first = dataset(
        tmp_path / "first",
        {"001": [1, 2], "002": [1]},
        labels=[0, 1, 2],
        label_names={"1": "liver", "2": "tumour"},
        final_classes={"liver": [1, 2], "tumour": [2]},
    )
    second = dataset(
        tmp_path / "second", {"001": [1, 7], "x": [7]}, labels=[0, 1, 7], label_names={"1": "kidney", "7": "tumour"}
    )
    (tmp_path / "second" / "cases.csv").write_text("id,patient\n001,p1\nx,p1\n")
    return [first, second]
