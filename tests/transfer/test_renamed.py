"""Tensors that are not exactly those of a network are named."""

from __future__ import annotations

import torch

from mist_bundle.transfer.renamed import misfits


def test_equal_names_and_shapes_are_no_problem() -> None:
    tensors = {"a": torch.zeros(2), "b": torch.zeros(3, 1)}
    assert misfits(tensors, {"a": torch.ones(2), "b": torch.ones(3, 1)}, "file", "a network") == []


def test_each_kind_of_misfit_is_a_problem_of_its_own() -> None:
    renamed = {"a": torch.zeros(2), "more": torch.zeros(1)}
    target = {"a": torch.zeros(3), **{f"missing_{number}": torch.zeros(1) for number in range(10)}}
    messages = [problem.message for problem in misfits(renamed, target, "file", "net", ["strange"])]
    assert messages == [
        "holds tensors without a place in net: strange, more.",
        "lacks tensors of net: missing_0, missing_1, missing_2, missing_3, missing_4, "
        "missing_5, missing_6, missing_7 and 2 more.",
        "has a of shape [2]; the network has [3].",
    ]
