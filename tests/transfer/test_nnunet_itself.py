"""Imported models beside nnunetv2 itself, where $CONSUMER_ENVIRONMENTS/nnunet is an environment with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from mist_bundle import pipeline
from mist_bundle.bundle.folder import Bundle
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.transfer.axes import build_network
from tests.transfer.peers import peer_python

CASES, TESTS = 8, 3


@pytest.fixture(scope="module")
def trained(hippocampus_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what nnunetv2 trained and predicted."""
    python = peer_python("nnunet", "nnunetv2")
    folder = tmp_path_factory.mktemp("nnunet")
    raw = folder / "raw/Dataset004_Hippocampus"
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (raw / name).mkdir(parents=True)
    images = sorted((hippocampus_dir / "imagesTr").glob("hippocampus_*.nii.gz"))
    for number, image in enumerate(images[: CASES + TESTS]):
        target = "imagesTr" if number < CASES else "imagesTs"
        shutil.copy(image, raw / target / image.name.replace(".nii.gz", "_0000.nii.gz"))
        if number < CASES:
            shutil.copy(hippocampus_dir / "labelsTr" / image.name, raw / "labelsTr")
    labels = {"background": 0, "Anterior": 1, "Posterior": 2}
    description = {"channel_names": {"0": "MRI"}, "labels": labels, "numTraining": CASES, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps(description))
    script = Path(__file__).with_name("nnunet_itself.py")
    subprocess.run(
        [python, script, raw.parent, folder / "work"], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_logits_are_those_of_nnunetv2(trained: Path, tmp_path: Path) -> None:
    work = trained / "work"
    pipeline.import_nnunet(Path((work / "trained.txt").read_text()), tmp_path / "model")
    bundle = Bundle(tmp_path / "model")
    stored = torch.load(work / "logits.pt", weights_only=True)
    arguments = {**bundle.plan.network_arguments, "deep_supervision": False}
    network = build_network(arguments, NETWORKS[bundle.plan.network.value].target).eval()
    network.load_state_dict(torch.load(bundle.model, weights_only=True))
    with torch.no_grad():
        logits = network(stored["patch"].permute(0, 1, 4, 3, 2)).permute(0, 1, 4, 3, 2)
    assert (logits - stored["logits"]).abs().max() < 1e-4
