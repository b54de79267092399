"""An evaluator does not begin with weights that are missing or no numbers, and says which file and what to do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from monai.bundle import ConfigParser
from monai.fl.client.monai_algo import disable_ckpt_loaders

from mist_bundle.runtime.handlers.weights import RequiredCheckpointLoader


class _Network(torch.nn.Module):
    """A network of two weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))


def _file(path: Path, value: float = 1.0) -> str:
    torch.save({"weight": torch.tensor([0.0, value])}, path)
    return str(path)


def _run(paths: list[str], members: list[str] | None = None) -> _Network:
    engine: Any = Engine(lambda *_: None)
    engine.inferer = SimpleNamespace(inferer=SimpleNamespace(checkpoints=members or []))
    network = _Network()
    RequiredCheckpointLoader(paths[0], {"model": network}, paths[1:]).attach(engine)
    engine.run([0])
    return network


def test_whole_weights_pass(tmp_path: Path) -> None:
    model, folds = _file(tmp_path / "model.pt"), [_file(tmp_path / "fold_0.pt"), _file(tmp_path / "fold_1.pt")]
    whole = torch.load(model, weights_only=True)
    for network in (_run([model, *folds], folds), _run([model])):
        for name, value in network.state_dict().items():
            assert torch.equal(value, whole[name])


def test_no_weights_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Train the bundle first"):
        _run([str(tmp_path / "model.pt")])


def test_a_missing_checkpoint_is_not_made_up_for_by_the_folds(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no weights at .*mine\.pt"):
        _run([str(tmp_path / "mine.pt"), _file(tmp_path / "fold_0.pt"), _file(tmp_path / "fold_1.pt")])


def test_weights_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    bad = _file(tmp_path / "model.pt", float("nan"))
    with pytest.raises(ValueError, match=r"model\.pt holds NaN .* Nothing was predicted"):
        _run([bad])


def test_only_what_predicts_is_looked_at(tmp_path: Path) -> None:
    model, good = _file(tmp_path / "model.pt"), _file(tmp_path / "fold_0.pt")
    bad = _file(tmp_path / "fold_1.pt", float("inf"))
    _run([model, good, bad])
    with pytest.raises(ValueError, match=r"fold_1\.pt holds NaN or infinite"):
        _run([model, good, bad], [good, bad])


def test_weights_of_the_file(tmp_path: Path) -> None:
    assert _run([_file(tmp_path / "model.pt", 3.0)]).weight.tolist() == [0.0, 3.0]


def test_folds_are_enough_where_the_inferer_loads_them(tmp_path: Path) -> None:
    folds = [_file(tmp_path / "fold_0.pt"), _file(tmp_path / "fold_1.pt")]
    assert _run([str(tmp_path / "model.pt"), *folds], folds).weight.tolist() == [0.0, 0.0]


def test_federated_clients_switch_it_off() -> None:
    target = f"{RequiredCheckpointLoader.__module__}.{RequiredCheckpointLoader.__name__}"
    parser = ConfigParser({"validate": {"handlers": [{"_target_": target, "load_path": "none.pt", "load_dict": {}}]}})
    disable_ckpt_loaders(parser)
    assert parser["validate#handlers"][0]["_disabled_"] is True


@pytest.mark.parametrize("content", ["other network", "a list", "junk", "cut short"])
def test_files_that_hold_no_weights_of_this_network_are_named_in_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.pt"
    if content == "other network":
        torch.save({"bias": torch.zeros(3)}, path)
    elif content == "a list":
        torch.save([1, 2], path)
    else:
        _file(path)
        path.write_bytes(b"junk" if content == "junk" else path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"mine\.pt cannot be loaded into the network of this bundle \(") as refused:
        _run([str(path)])
    assert len(str(refused.value).splitlines()) == 1
    assert refused.value.__cause__ is None


def test_weights_of_an_ensemble_that_are_named_and_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no weights at .*fold_7\.pt"):
        _run([_file(tmp_path / "model.pt"), str(tmp_path / "fold_7.pt")])
