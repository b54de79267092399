"""A network in the formats of other programs, written in a process of its own."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from mist_bundle.sharing.export_worker import compare, seeded_inputs, to_state_dict, to_torch_export


def test_inputs_are_the_same_in_every_run_and_differ_from_each_other(fresh_bundle: Path) -> None:
    single, double = seeded_inputs(fresh_bundle)
    assert single.shape == (1, 2, 16, 16, 16)
    assert double.shape == (2, 2, 16, 16, 16)
    again = seeded_inputs(fresh_bundle)
    assert torch.equal(single, again[0])
    assert not torch.equal(single[0], double[0])


class _Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(factor))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * self.weight


def test_the_largest_difference_of_each_input_is_measured(tmp_path: Path) -> None:
    image = torch.full((1, 1, 2, 2, 2), 4.0)
    converted = to_state_dict(_Scale(2.0), tmp_path / "weights.pt", lambda: _Scale(1.0))
    assert compare(_Scale(2.0), converted, [image])[0] == [0.0]
    assert compare(_Scale(2.5), converted, [image])[0] == [2.0]


def test_an_exported_program_computes_the_same(tmp_path: Path) -> None:
    image = torch.arange(8.0).reshape(1, 1, 2, 2, 2)
    converted = to_torch_export(_Scale(3.0), tmp_path / "network.pt2", image)
    assert (tmp_path / "network.pt2").is_file()
    assert max(compare(_Scale(3.0), converted, [image])[0]) < 1e-6
