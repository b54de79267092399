"""MONAI's federated client gets the final and the best weights of its rounds from the bundle."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import ExtraItems, ModelType
from monai.fl.utils.exchange_object import ExchangeObject

from mist_bundle.bundle.manifest import differences
from mist_bundle.files import METADATA_JSON
from mist_bundle.runtime.folds.publish_weights import POSTPROCESSING, RESULTS_END, RESULTS_START
from mist_bundle.runtime.folds.weights import ensemble_weights, fold_weights
from mist_bundle.trust.audit.run import audit_bundle

Weights = dict[str, torch.Tensor]

# MONAI says what a federation may run on its clients
pytestmark = pytest.mark.filterwarnings("ignore:executing the bundle config:UserWarning")


def _client(bundle: Path, data: Path, **options: Any) -> Any:
    """MONAI's client on a bundle, ready for its first round."""
    settings = {
        "epochs": 1,
        "steps_per_epoch": 2,
        "val_interval": 1,
        "workers": 1,
        "fold": 0,
        "ema_decay": 0,
        **options,
    }
    client = MonaiAlgo(
        bundle_root=str(bundle),
        local_epochs=1,
        send_weight_diff=False,
        config_evaluate_filename=None,
        train_kwargs={"dataset_dir": str(data), **settings},
    )
    client.initialize(extra={ExtraItems.CLIENT_NAME: "site"})
    return client


def _weights(client: Any, kind: ModelType | None = None) -> Weights:
    extra = {} if kind is None else {ExtraItems.MODEL_TYPE: kind}
    weights = client.get_weights(extra=extra).weights
    return {name: value.clone() for name, value in weights.items() if "deep_supervision" not in name}


def _equal(first: Weights, second: Weights) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def _round(client: Any) -> Weights:
    """Train a round from the client's own weights; those that it ends with."""
    client.train(ExchangeObject(weights=dict(client.trainer.network.state_dict())))
    return _weights(client)


def _scores(client: Any) -> list[float]:
    """A list that receives the score of each validation: what RoundWeights sees."""
    scores: list[float] = []
    evaluator = client.train_workflow.parser.get_parsed_content("validate#evaluator")
    evaluator.add_event_handler(
        Events.COMPLETED, lambda engine: scores.append(float(engine.state.metrics["val_mean_dice"]))
    )
    return scores


def test_best_and_final_weights_of_three_rounds(own_bundle: Path, phantom_json: Path) -> None:
    client = _client(own_bundle, phantom_json.parent / "train")
    with pytest.raises(ValueError, match="No best model checkpoint exists"):
        _weights(client, ModelType.FINAL_MODEL)
    scores, rounds = _scores(client), []
    for _ in range(3):
        rounds.append(_round(client))
        assert _equal(_weights(client, ModelType.FINAL_MODEL), rounds[-1])
    assert len(scores) == 3
    best = rounds[max(range(3), key=scores.__getitem__)]
    assert _equal(_weights(client, ModelType.BEST_MODEL), best)
    assert not _equal(rounds[0], rounds[1])
    assert differences(own_bundle) == []
    assert audit_bundle(own_bundle).passed


def test_a_worse_round_leaves_the_best_weights(own_bundle: Path, phantom_json: Path) -> None:
    client = _client(own_bundle, phantom_json.parent / "train")
    evaluator = client.train_workflow.parser.get_parsed_content("validate#evaluator")
    handler = _handler(evaluator)
    first = _round(client)
    handler.best_score = 2.0  # no Dice is better
    second = _round(client)
    assert _equal(_weights(client, ModelType.BEST_MODEL), first)
    assert _equal(_weights(client, ModelType.FINAL_MODEL), second)


def test_the_best_weights_are_those_that_were_validated(own_bundle: Path, phantom_json: Path) -> None:
    client = _client(own_bundle, phantom_json.parent / "train", ema_decay=0.9)
    final = _round(client)
    averaged = client.train_workflow.parser.get_parsed_content("average").ema_model
    expected = {name: value for name, value in averaged.state_dict().items() if "deep_supervision" not in name}
    assert _equal(_weights(client, ModelType.BEST_MODEL), expected)
    assert _equal(_weights(client, ModelType.FINAL_MODEL), final)
    assert not _equal(expected, final)


def test_results_of_former_weights_are_taken_back(own_bundle: Path, phantom_json: Path) -> None:
    metadata = json.loads((own_bundle / METADATA_JSON).read_text())
    (own_bundle / METADATA_JSON).write_text(json.dumps({**metadata, "eval_metrics": {"liver_dice": 0.9}}))
    _round(_client(own_bundle, phantom_json.parent / "train"))
    assert json.loads((own_bundle / METADATA_JSON).read_text()) == metadata
    card = (own_bundle / "docs/README.md").read_text()
    results = card.split(RESULTS_START)[1].split(RESULTS_END)[0]
    assert results.strip() == "model.pt was trained further by federated learning, and has not been evaluated since."


def test_the_ensemble_of_former_folds_steps_aside(trained_bundle: Path, phantom_json: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(trained_bundle, tmp_path / trained_bundle.name))
    chosen = {"strategy": [{"operation": "fill_holes"}], "derived_from": {"0": "a hash"}}
    (bundle / POSTPROCESSING).write_text(json.dumps(chosen))
    models, model = str(bundle / "models"), str(bundle / "models/model.pt")
    assert len(ensemble_weights(fold_weights(models), models, model, ensemble=True)) == 2
    _round(_client(bundle, phantom_json.parent / "train"))
    assert len(fold_weights(models)) == 2
    assert ensemble_weights(fold_weights(models), models, model, ensemble=True) == []
    assert json.loads((bundle / POSTPROCESSING).read_text())["strategy"] == []
    assert audit_bundle(bundle).passed


def test_weights_that_only_model_pt_had_are_kept_once(own_bundle: Path, phantom_json: Path) -> None:
    data, models = phantom_json.parent / "train", own_bundle / "models"
    first = _client(own_bundle, data)
    for _ in range(2):
        _round(first)
    assert list(models.glob("model_*.pt")) == [models / "model_final.pt"], "there was nothing before the first round"
    before = (models / "model.pt").read_bytes()
    later = _client(own_bundle, data)
    for _ in range(3):
        _round(later)
    (kept,) = set(models.glob("model_*.pt")) - {models / "model_final.pt"}
    assert kept.read_bytes() == before
    assert kept.name == f"model_{hashlib.sha256(before).hexdigest()[:8]}.pt"
    assert differences(own_bundle) == []
    assert audit_bundle(own_bundle).passed


def test_a_bundle_that_cannot_be_written_to_does_not_end_the_round(
    own_bundle: Path, phantom_json: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = _client(own_bundle, phantom_json.parent / "train", work_dir=str(own_bundle.parent / "work"))
    models = own_bundle / "models"
    models.rmdir()
    models.write_text("in the way")
    with caplog.at_level(logging.WARNING):
        _round(client)
    assert any("the weights of this round were not written" in record.getMessage() for record in caplog.records)


def _handler(evaluator: Any) -> Any:
    """The handler that listens to the evaluator."""
    for function, _, _ in evaluator._event_handlers[Events.COMPLETED]:
        owner = getattr(function, "__self__", None)
        if type(owner).__name__ == "RoundWeights":
            return owner
    raise AssertionError("no RoundWeights listens to the evaluator")


def test_a_training_that_keeps_checkpoints_has_no_final_weights(trained_bundle: Path) -> None:
    names = {path.name for path in (trained_bundle / "models").iterdir() if not path.name.startswith(".")}
    assert names == {"fold_0.pt", "fold_1.pt", "model.pt", "model.safetensors"}
