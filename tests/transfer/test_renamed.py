"""Tensors that are not exactly those of a network are named."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from mist_bundle.errors import InputError, Problem
from mist_bundle.transfer.renamed import convert_folds, misfits


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


def _without_prefix(
    fold: str, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    renamed = {name.removeprefix("their."): value for name, value in tensors.items() if name != "head"}
    problems = misfits(renamed, expected, f"fold {fold}", "the network")
    if problems:
        raise InputError(problems)
    return renamed, ["head"]


def test_each_fold_becomes_a_state_dict_of_its_own() -> None:
    network = torch.nn.Linear(2, 1)
    weights = {}
    for fold in ("0", "1"):
        weights[fold] = {
            "their.weight": torch.full((1, 2), float(fold)),
            "their.bias": torch.zeros(1),
            "head": torch.zeros(1),
        }
    converted, left_out = convert_folds(network, weights, _without_prefix)
    assert left_out == ["head"]
    assert converted["0"]["weight"].tolist() == [[0.0, 0.0]]
    assert converted["1"]["weight"].tolist() == [[1.0, 1.0]]


def test_misfits_of_all_folds_are_reported_together() -> None:
    weights = {"0": {"their.weight": torch.zeros(1, 2)}, "1": {"their.bias": torch.zeros(1)}}
    with pytest.raises(InputError) as raised:
        convert_folds(torch.nn.Linear(2, 1), weights, _without_prefix)
    assert raised.value.problems == (
        Problem("fold 0", "lacks tensors of the network: bias."),
        Problem("fold 1", "lacks tensors of the network: weight."),
    )
