"""What a training can use of a network or a loss, checked on small examples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from torch import nn

from mist_bundle.bundle.trial_worker import TrialError, build, check_outputs, try_loss
from tests.planning.plans import small_plan

IMAGE = torch.zeros(2, 1, 4, 4, 4)


class Network(nn.Module):
    """Returns what it was constructed with for training and for evaluation."""

    def __init__(self, in_training: Any, in_evaluation: Any) -> None:
        super().__init__()
        self.in_training = in_training
        self.in_evaluation = in_evaluation

    def forward(self, image: torch.Tensor) -> Any:
        del image
        return self.in_training if self.training else self.in_evaluation


LOGITS = torch.zeros(2, 3, 4, 4, 4)


def test_heads_are_fine_in_training_only() -> None:
    check_outputs(Network([LOGITS, LOGITS], LOGITS), IMAGE, 3)
    with pytest.raises(TrialError, match="in evaluation it returns a list"):
        check_outputs(Network(LOGITS, [LOGITS]), IMAGE, 3)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Network(LOGITS, LOGITS[:, :2]), r"in evaluation it returns the shape \(2, 2, 4, 4, 4\)"),
        (Network([], LOGITS), "in training it returns a list"),
        (Network({"out": LOGITS}, LOGITS), "in training it returns a dict"),
        (torch.zeros_like, "not a torch.nn.Module"),
    ],
)
def test_outputs_that_a_training_cannot_use(network: Any, words: str) -> None:
    with pytest.raises(TrialError, match=words):
        check_outputs(network, IMAGE, 3)


def test_a_constructor_that_fails_is_quoted() -> None:
    parser = ConfigParser({"part": {"_target_": "torch.nn.Linear", "no_such_argument": 1}})
    with pytest.raises(TrialError, match=r"TypeError: .*no_such_argument"):
        build(parser, "part")


def _loss(target: str) -> ConfigParser:
    return ConfigParser({"loss": {"_target_": f"tests.bundle.test_trial_worker.{target}"}})


class Good(nn.Module):
    def forward(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return (logits.softmax(1)[:, :1] - (label == 0).float()).square().mean()


class Voxelwise(nn.Module):
    def forward(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        del label
        return logits.square()


class Infinite(Good):
    def forward(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return super().forward(logits, label) / 0


class Detached(Good):
    def forward(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return super().forward(logits.detach(), label)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("Voxelwise", "expected a single number"),
        ("Infinite", "it returns inf for a random guess"),
        ("Detached", "a number without a gradient"),
    ],
)
def test_a_loss_that_a_training_cannot_use(target: str, words: str) -> None:
    try_loss(_loss("Good"), small_plan(), 2)
    with pytest.raises(TrialError, match=words):
        try_loss(_loss(target), small_plan(), 2)
