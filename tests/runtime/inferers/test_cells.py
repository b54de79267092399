from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch

from mist_bundle.runtime.inferers.cells import CellStore


@pytest.mark.parametrize("memory_bytes", [0, 4 * 24 * 2, 1e9])
def test_what_goes_in_comes_out(memory_bytes: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = CellStore(memory_bytes)
    content = {(0, 0, index): torch.randn(2, 3, 4, 1) for index in range(5)}
    for cell, tensor in content.items():
        store.put(cell, tensor)
    assert (len(list(tmp_path.rglob("0_0_*"))) == 0) == (memory_bytes == 1e9)
    for cell in [(0, 0, 3), (0, 0, 0), (0, 0, 4), (0, 0, 1), (0, 0, 2)]:
        torch.testing.assert_close(store.take(cell), content[cell], rtol=0, atol=0)
        assert store.take(cell) is None
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_all_cells_go_to_the_disk_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = CellStore(1e9)
    store.put((0, 0, 0), torch.ones(2, 3, 4, 1))
    store.spill()
    assert len(list(tmp_path.rglob("0_0_*"))) == 1
    torch.testing.assert_close(store.take((0, 0, 0)), torch.ones(2, 3, 4, 1))
    store.close()
