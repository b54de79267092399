"""The weights of several models are averaged with a function of the API."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import mist_bundle as mb


def test_the_mean_of_two_files(tmp_path: Path) -> None:
    for name, value in (("a.pt", 1.0), ("b.pt", 4.0)):
        torch.save({"layer.weight": torch.full((2, 3), value)}, tmp_path / name)
    files = mb.average_weights(tmp_path / "a.pt", str(tmp_path / "b.pt"), output=tmp_path / "mean.pt")
    assert files == (tmp_path / "a.pt", tmp_path / "b.pt")
    mean = torch.load(tmp_path / "mean.pt", weights_only=True)
    assert torch.equal(mean["layer.weight"], torch.full((2, 3), 2.5))


def test_a_single_file_has_no_mean(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.ones(2)}, tmp_path / "a.pt")
    with pytest.raises(mb.InputError):
        mb.average_weights(tmp_path / "a.pt", output=tmp_path / "mean.pt")
    assert not (tmp_path / "mean.pt").exists()
