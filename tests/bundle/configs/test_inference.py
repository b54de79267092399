"""inference.json: which weights predict, for whoever runs the bundle and for whoever brings weights of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from mist_bundle.bundle.folder import Bundle


def _parser(bundle: Path, **overrides: Any) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs/inference.json"))
    parser.update({"bundle_root": str(bundle), "device": "$torch.device('cpu')", "amp": "fp32", **overrides})
    return parser


def _checkpoints(parser: ConfigParser, name: str) -> tuple[str, ...]:
    inferer: Any = parser.get_parsed_content(name)
    return tuple(Path(path).name for path in inferer.inferer.ensemble.checkpoints)


def test_the_bundle_itself_predicts_with_all_folds(trained_bundle: Path) -> None:
    assert _checkpoints(_parser(trained_bundle), "ensemble_inferer") == ("fold_0.pt", "fold_1.pt")
    assert _parser(trained_bundle)["evaluator"]["inferer"] == "@ensemble_inferer"


@pytest.mark.parametrize("overrides", [{"ensemble": False}, {"ckpt_path": "$os.path.join(@models_dir, 'fold_1.pt')"}])
def test_a_checkpoint_of_the_callers_choice_predicts_alone(overrides: dict[str, Any], trained_bundle: Path) -> None:
    assert _checkpoints(_parser(trained_bundle, **overrides), "ensemble_inferer") == ()


def test_a_network_that_is_brought_along_keeps_its_weights(trained_bundle: Path) -> None:
    """MONAI Label keeps a network between requests and hands it to `inferer`."""
    parser = _parser(trained_bundle)
    network: Any = parser.get_parsed_content("network_def").eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    inferer: Any = parser.get_parsed_content("inferer")
    image = torch.rand(1, Bundle(trained_bundle).plan.num_channels, 24, 24, 20)
    inferer(image, network)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
