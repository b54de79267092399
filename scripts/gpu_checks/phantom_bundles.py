"""Bundles of phantoms, and their configurations in this process: what is measured is what a training would run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from bench import Bench

from mist_bundle import pipeline
from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.trial_worker import parser_of
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.files import DATASET_JSON
from mist_bundle.planning.options import PlanOptions

CASES = 4


def phantom(bench: Bench) -> Path:
    """The description of a dataset of phantoms, made once."""
    folder = bench.folder / "data"
    description = folder / DATASET_JSON
    if description.is_file():
        return description
    return make_phantom(folder, num_cases=CASES, shape=bench.scale.volume, spacing_mm=(1, 1, 1), overwrite=True)


def bundle_of(bench: Bench, network: str) -> Path:
    """A bundle with the patch and batch of the check, made once for each network."""
    output = bench.folder / network
    for plan in output.glob("*/configs/plan.json"):
        return plan.parents[1]
    options = PlanOptions(
        network=network,
        patch_size=bench.scale.patch,
        batch_size=bench.scale.batch,
        folds=2,
        memory=1000,  # whatever the device has: what does not fit shall be seen
    )
    return pipeline.autoconfig(phantom(bench), output, options, overwrite=True).bundle


def parser(bench: Bench, bundle: Path, config: str, **settings: Any) -> Any:
    """A configuration of a bundle on the device of the check, with the settings of torch that it starts with."""
    found = parser_of(bundle, Bundle(bundle).config_path(config))
    found.update({"device": bench.device, **settings})
    found.get_parsed_content("initialize")
    return found


def random_weights(bench: Bench, bundle: Path) -> None:
    """Weights as initialised, where those of a training would lie: seconds and memory do not depend on them."""
    network = parser(bench, bundle, "inference").get_parsed_content("network_def")
    torch.save(network.state_dict(), bundle / "models" / "model.pt")
