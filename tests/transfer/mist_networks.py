"""Run in an environment of mist-medical: `python mist_networks.py RESULTS_FOLDER …`.

Builds the network that config.json of each folder names, and leaves its weights there, the fold of a training, with an
image and the logits that the network gives for it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from mist.models.model_registry import get_model_from_registry


def write_network(results: Path) -> None:
    """Write models/fold_0.pt, image.npy and logits.npy."""
    config = json.loads((results / "config.json").read_text())
    torch.manual_seed(1)
    network = get_model_from_registry(
        config["model"]["architecture"], **config["model"]["params"], **config["spatial_config"]
    )
    for parameter in network.parameters():  # norms begin as 1 and 0, which would hide where they are put
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=0.5, std=0.5)
    torch.save(network.state_dict(), results / "models/fold_0.pt")
    image = torch.randn(1, config["model"]["params"]["in_channels"], *config["spatial_config"]["patch_size"])
    with torch.no_grad():
        logits = network.eval()(image)
    np.save(results / "image.npy", image.numpy())
    np.save(results / "logits.npy", logits.numpy())


for folder in sys.argv[1:]:
    write_network(Path(folder))
