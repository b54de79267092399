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


@pytest.mark.parametrize(("size", "text"), [(999, "999 bytes"), (3.21e9, "3.21 GB"), (5.3e15, "5.3 PB")])
def test_words(size: float, text: str) -> None:
    assert memory.format_bytes(size) == text
