"""The memory of machines and containers."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from mist_bundle.runtime.numerics import memory


def test_the_machine_has_what_the_kernel_says() -> None:
    listed = Path("/proc/meminfo")
    if not listed.is_file():
        pytest.skip("no /proc/meminfo on this system")
    kilobytes = int(listed.read_text().split("MemTotal:")[1].split()[0])
    assert 0 < memory.total_memory() <= 1024 * kilobytes * 1.01


@pytest.mark.parametrize(("content", "limit"), [("1000000\n", 1e6), ("max\n", math.inf), (None, math.inf)])
def test_a_container_has_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, limit: float
) -> None:
    if content is not None:
        (tmp_path / "memory.max").write_text(content)
    monkeypatch.setattr(memory, "_CONTAINER_LIMITS", (str(tmp_path / "memory.max"),))
    physical = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    assert memory.total_memory() == min(limit, physical)


def test_free_memory_is_what_the_machine_and_the_container_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tmp_path / "meminfo"
    machine.write_text("MemTotal: 9000000 kB\nMemAvailable: 4000000 kB\n")
    monkeypatch.setattr(memory, "_MACHINE", machine)
    limit, use = tmp_path / "memory.max", tmp_path / "memory.current"
    monkeypatch.setattr(memory, "_CONTAINER_LIMITS", (str(limit), str(tmp_path / "none")))
    monkeypatch.setattr(memory, "_CONTAINER_USES", (str(use), str(tmp_path / "none")))
    assert memory.free_memory() == 4_096_000_000
    limit.write_text("3000000000\n")
    use.write_text("2500000000\n")
    assert memory.free_memory() == 500_000_000
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 400000000\n")
    assert memory.free_memory() == 900_000_000
    limit.write_text("max\n")
    assert memory.free_memory() == 4_096_000_000
    machine.unlink()
    assert memory.free_memory() == float("inf")
