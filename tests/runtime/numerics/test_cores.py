"""How many cores a process may use: the quota of a container counts, whichever version wrote it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mist_bundle.runtime.numerics import cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(cores, "_CONTROL_GROUPS", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("max 100000", 64), ("", 64), ("9 0", 64)],
)
def test_the_quota_of_a_container(groups: Path, text: str, expected: int) -> None:
    (groups / "cpu.max").write_text(text)
    assert cores.available_cores() == expected


@pytest.mark.parametrize(("quota", "expected"), [("400000", 4), ("-1", 64)])
def test_the_quota_of_older_containers(groups: Path, quota: str, expected: int) -> None:
    (groups / "cpu").mkdir()
    (groups / "cpu/cpu.cfs_quota_us").write_text(quota)
    (groups / "cpu/cpu.cfs_period_us").write_text("100000")
    assert cores.available_cores() == expected


def test_without_a_container_affinity_counts(groups: Path) -> None:
    assert cores.available_cores() == 64
