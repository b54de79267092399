"""The sums of the cells that are not complete yet, in bounded memory: what is not needed soon waits on the disk."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from .windows import Index


class CellStore:
    """Tensors by cell.

    Args:
        memory_bytes: above this, the cells that were used longest ago are written to a temporary folder.
    """

    def __init__(self, memory_bytes: float) -> None:
        self.memory_bytes = memory_bytes
        self._cells: OrderedDict[Index, torch.Tensor] = OrderedDict()
        self._on_disk: dict[Index, tuple[int, ...]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._bytes = 0

    def take(self, cell: Index) -> torch.Tensor | None:
        """Give a cell out of the store; None where it is not there yet."""
        if cell in self._cells:
            tensor = self._cells.pop(cell)
            self._bytes -= _num_bytes(tensor)
            return tensor
        shape = self._on_disk.pop(cell, None)
        if shape is None:
            return None
        path = self._path(cell)
        tensor = torch.from_numpy(np.fromfile(path, np.float32).reshape(shape))
        path.unlink()
        return tensor

    def put(self, cell: Index, tensor: torch.Tensor) -> None:
        """Keep a cell (float32) for later."""
        self._cells[cell] = tensor
        self._bytes += _num_bytes(tensor)
        self._spill(self.memory_bytes, leave=1)

    def spill(self) -> None:
        """Write all cells to the disk."""
        self._spill(0, leave=0)

    def _spill(self, memory_bytes: float, leave: int) -> None:
        while self._bytes > memory_bytes and len(self._cells) > leave:
            oldest, content = self._cells.popitem(last=False)
            self._bytes -= _num_bytes(content)
            content.cpu().numpy().tofile(self._path(oldest))
            self._on_disk[oldest] = tuple(content.shape)

    def close(self) -> None:
        """Remove the temporary folder."""
        if self._folder is not None:
            self._folder.cleanup()

    def _path(self, cell: Index) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="mist_bundle_cells_")
        return Path(self._folder.name) / "_".join(map(str, cell))


def _num_bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
