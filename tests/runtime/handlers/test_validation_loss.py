"""The loss on validation cases: on fixed patches, the same as computed by hand, without a trace in the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.engines import SupervisedEvaluator
from monai.inferers import SimpleInferer
from monai.losses import DiceCELoss

from mist_bundle.runtime.handlers.validation_loss import ValidationLoss

LOSS = DiceCELoss(to_onehot_y=True, softmax=True)


def _case(name: str, shape: tuple[int, int, int], seed: int) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    image = generator.normal(size=(1, *shape)).astype(np.float32)
    label = (generator.random((1, *shape)) > 0.7).astype(np.uint8)
    return {"image": torch.from_numpy(image), "label": torch.from_numpy(label), "id": name}


def _batch(case: dict[str, Any]) -> dict[str, Any]:
    texts = {key: [value] for key, value in case.items() if isinstance(value, str)}
    return {"image": case["image"][None], "label": case["label"][None], **texts}


def _measured(cases: list[dict[str, Any]], network: torch.nn.Module, **settings: Any) -> SupervisedEvaluator:
    arguments = {"loss": LOSS, "inferer": SimpleInferer(), "patch_size": (8, 8, 8), "device": "cpu", **settings}
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=list(map(_batch, cases)),
        network=network,
        val_handlers=[ValidationLoss(network=network, **arguments)],
    )
    evaluator.run()
    return evaluator


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Conv3d(1, 2, 3, padding=1)


def test_is_the_loss_of_whole_volumes_where_a_patch_is_as_large(network: torch.nn.Module) -> None:
    cases = [_case("a", (8, 8, 8), 1), _case("b", (8, 8, 8), 2)]
    with torch.no_grad():
        expected = [float(LOSS(network(case["image"][None]), case["label"][None])) for case in cases]
    assert _measured(cases, network).state.metrics["val_loss"] == pytest.approx(np.mean(expected), rel=1e-6)


def test_losses_with_distance_maps_get_those_of_the_patch(network: torch.nn.Module, tmp_path: Path) -> None:
    case = {**_case("a", (8, 8, 8), 1), "dtm_path": str(tmp_path / "dtm.npy")}
    maps = np.random.default_rng(3).normal(size=(2, 8, 8, 8)).astype(np.float32)
    np.save(tmp_path / "dtm.npy", maps)

    def loss(scores: torch.Tensor, target: dict[str, torch.Tensor]) -> torch.Tensor:
        return LOSS(scores, target["label"]) + (scores.softmax(1) * target["dtm"]).mean()

    with torch.no_grad():
        scores = network(case["image"][None])
        expected = float(LOSS(scores, case["label"][None]) + (scores.softmax(1) * torch.from_numpy(maps)).mean())
    assert _measured([case], network, loss=loss).state.metrics["val_loss"] == pytest.approx(expected, rel=1e-6)


def test_small_volumes_are_padded_in_their_middle(network: torch.nn.Module) -> None:
    case = _case("a", (8, 5, 8), 1)
    padding = (0, 0, 1, 2, 0, 0)
    image = torch.nn.functional.pad(case["image"], padding)
    label = torch.nn.functional.pad(case["label"], padding)
    with torch.no_grad():
        expected = float(LOSS(network(image[None]), label[None]))
    assert _measured([case], network).state.metrics["val_loss"] == pytest.approx(expected, rel=1e-6)


def test_patches_stay_the_same_and_follow_the_seed(network: torch.nn.Module) -> None:
    cases = [_case("a", (24, 20, 16), 1)]
    first = _measured(cases, network).state.metrics["val_loss"]
    assert _measured(cases, network).state.metrics["val_loss"] == first
    assert _measured(cases, network, seed=5).state.metrics["val_loss"] != first


def test_one_patch_holds_foreground_however_small_it_is(network: torch.nn.Module) -> None:
    case = _case("a", (40, 40, 40), 1)
    case["label"].zero_()
    case["label"][0, 37, 2, 20] = 1
    seen = []

    def loss(scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        seen.append(int(label.sum()))
        return scores.mean()

    _measured([case], network, loss=loss)
    assert seen[0] == 1
    assert len(seen) == 2


def test_unlabelled_voxels_are_no_foreground(network: torch.nn.Module) -> None:
    case = _case("a", (24, 24, 24), 1)
    case["label"].fill_(2)
    count = []
    _measured([case], network, loss=lambda scores, label: count.append(1) or scores.mean(), ignore_index=2)
    assert len(count) == 1


def test_training_is_not_disturbed() -> None:
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3, padding=1), torch.nn.BatchNorm3d(2), torch.nn.Dropout(0.5))
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(3)
    np.random.seed(3)
    _measured([_case("a", (24, 20, 16), 1)], network)
    drawn = (float(torch.rand(1)), float(np.random.rand()))
    torch.manual_seed(3)
    np.random.seed(3)
    assert drawn == (float(torch.rand(1)), float(np.random.rand()))
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_patch_whose_loss_is_no_number_is_left_out(network: torch.nn.Module) -> None:
    values = iter([torch.tensor(float("nan")), torch.tensor(3.0)])
    evaluator = _measured([_case("a", (8, 8, 8), 1)], network, loss=lambda scores, label: next(values))
    assert evaluator.state.metrics["val_loss"] == 3.0


def test_without_any_number_there_is_no_loss(network: torch.nn.Module) -> None:
    evaluator = _measured([_case("a", (8, 8, 8), 1)], network, loss=lambda scores, label: torch.tensor(float("inf")))
    assert "val_loss" not in evaluator.state.metrics
