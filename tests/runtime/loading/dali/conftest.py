"""Random cases, written once for a test module."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..synthetic import Item, array_items, random_case


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dali")


@pytest.fixture(scope="module")
def items(folder: Path) -> list[Item]:
    return array_items(folder / "raw", {f"c{number}": random_case(number, (17, 15, 16), 2) for number in range(3)})
