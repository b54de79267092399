"""How many threads a process takes: what it may run on, divided by the processes beside it."""

from __future__ import annotations

import os

import pytest

from mist_bundle.runtime.loading.threads import available_threads


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)


@pytest.mark.parametrize(
    ("cores", "processes", "most", "expected"),
    [(6, 1, 8, 6), (64, 1, 8, 8), (64, 16, 8, 4), (2, 4, 8, 1), (6, 1, 3, 3)],
)
def test_cores_are_divided_by_processes(
    monkeypatch: pytest.MonkeyPatch, cores: int, processes: int, most: int, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert available_threads(most) == expected


def test_systems_without_affinity_count_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert available_threads() == 5
