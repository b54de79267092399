"""Checkpoints of other programs are read without running anything in them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mist_bundle.errors import InputError
from mist_bundle.transfer.checkpoint import load_checkpoint


def test_tensors_numbers_and_numpy_scalars_are_read(tmp_path: Path) -> None:
    content = {
        "weights": {"a": torch.arange(3.0)},
        "scores": [np.float32(0.5), np.float64(0.25), np.int64(3), np.bool_(True)],
        "device": torch.device("cpu"),
        "texts": ("a", None, 1.5),
    }
    torch.save(content, tmp_path / "checkpoint.pth")
    read = load_checkpoint(tmp_path / "checkpoint.pth")
    assert torch.equal(read["weights"]["a"], torch.arange(3.0))
    assert read["scores"] == [0.5, 0.25, 3, True]
    assert read["texts"] == ("a", None, 1.5)


class _Command:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def test_a_pickle_that_calls_anything_is_refused_by_name(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    torch.save({"weights": {}, "logging": _Command(marker)}, tmp_path / "checkpoint.pth")
    with pytest.raises(InputError, match=f"would import {os.system.__module__}.system"):
        load_checkpoint(tmp_path / "checkpoint.pth")
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"a": 1}), b"PK\x03\x04" + b"\0" * 50])
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"checkpoint.pth.* cannot be read as a checkpoint"):
        load_checkpoint(tmp_path / "checkpoint.pth")


def test_what_is_no_dictionary_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "checkpoint.pth")
    with pytest.raises(InputError, match="holds a list; expected a checkpoint's dictionary"):
        load_checkpoint(tmp_path / "checkpoint.pth")
