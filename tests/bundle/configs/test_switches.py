"""Switches of a configuration may be words, as the command line of monai.bundle hands them over."""

from __future__ import annotations

import pytest
from monai.bundle import ConfigParser

from mist_bundle.bundle.configs.inference import inference_config
from mist_bundle.bundle.configs.train import train_config
from mist_bundle.bundle.expressions import NO_POSTPROCESSING
from mist_bundle.runtime.folds.weights import ensemble_weights
from tests.planning.plans import small_plan


@pytest.mark.parametrize(
    ("word", "is_on"), [("false", False), ("no", False), (False, False), ("yes", True), (True, True)]
)
def test_words_mean_what_they_say(word: object, is_on: bool) -> None:
    plan = small_plan()
    inference = inference_config(plan, "name", "id", "..")
    expressions = {
        "folds": {**inference["ensemble_paths"], "_target_": ensemble_weights, "_requires_": None},
        "compiled": train_config(plan, "name", "id", "..")["train"]["trainer"]["compile"],
        "post": NO_POSTPROCESSING,
    }
    values = {"imports": ["$import os"], "models_dir": "models", "ckpt_path": "models/model.pt", "fold_paths": ["a"]}
    words = {"ensemble": word, "compile": word, "postprocess": word}
    parser = ConfigParser({**values, **words, **expressions})
    assert bool(parser.get_parsed_content("folds")) is is_on
    assert parser.get_parsed_content("compiled") is is_on
    assert parser.get_parsed_content("post") is not is_on
