"""Imported models beside mist-medical itself, where $CONSUMER_ENVIRONMENTS/mist is an environment with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from mist_bundle import Bundle, pipeline
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.transfer.axes import build_network
from mist_bundle.transfer.mist_model import convert_weights, describe_model
from mist_bundle.transfer.mist_results import ARCHITECTURES, read_results
from tests.transfer.mist_made import write_results
from tests.transfer.peers import peer_python

CASES, TESTS = 8, 3


@pytest.fixture(scope="module", params=["nnunet-pocket", "fmgnet", "wnet", "mednext-small"])
def trained(hippocampus_dir: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder with what mist-medical trained and predicted."""
    python = peer_python("mist", "mist-medical")
    folder = tmp_path_factory.mktemp("mist")
    images = sorted((hippocampus_dir / "imagesTr").glob("hippocampus_*.nii.gz"))
    rows = ["id,t1"]
    for number, image in enumerate(images[: CASES + TESTS]):
        name = image.name.removesuffix(".nii.gz")
        case = folder / ("train" if number < CASES else "test") / name
        case.mkdir(parents=True)
        shutil.copy(image, case / "t1.nii.gz")
        if number < CASES:
            shutil.copy(hippocampus_dir / "labelsTr" / image.name, case / "mask.nii.gz")
        else:
            rows.append(f"{name},{case / 't1.nii.gz'}")
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")
    description = {
        "task": "hippocampus",
        "modality": "mr",
        "train-data": str(folder / "train"),
        "mask": ["mask.nii.gz"],
        "images": {"t1": ["t1.nii.gz"]},
        "labels": [0, 1, 2],
        "final_classes": {"anterior": [1], "posterior": [2]},
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    script = Path(__file__).with_name("mist_itself.py")
    command = [python, script, folder / "dataset.json", folder / "cases.csv", folder / "work", request.param]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["plain", "flips"])
def test_label_maps_are_those_of_mist(trained: Path, tmp_path: Path, name: str) -> None:
    pipeline.import_mist(trained / "work/results", tmp_path / "model")
    bundle = Bundle(tmp_path / "model")
    bundle.predict(trained / "cases.csv", tmp_path / "predictions", device="cpu", tta=name == "flips")
    foreground, equal = 0, 0
    for path in sorted((trained / "work" / name).glob("*.nii.gz")):
        theirs = np.asanyarray(nibabel.load(path).dataobj)
        own = np.asanyarray(nibabel.load(tmp_path / "predictions" / path.name).dataobj)
        either = (theirs > 0) | (own > 0)
        foreground += int(either.sum())
        equal += int((theirs == own)[either].sum())
    assert foreground > 1000
    assert equal >= 0.999 * foreground, f"{equal} of {foreground} foreground voxels are equal"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("spatial", [([32, 32, 64], [1.0, 1.0, 1.0]), ([64, 32, 32], [0.8, 1.1, 3.5])])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_are_those_of_mist(architecture: str, spatial: tuple[list[int], list[float]], tmp_path: Path) -> None:
    patch, spacing = spatial
    folder = write_results(
        tmp_path / "results",
        model={"architecture": architecture, "params": {"in_channels": 2, "out_channels": 3}},
        spatial_config={"patch_size": patch, "target_spacing": spacing},
    )
    subprocess.run(
        [peer_python("mist", "mist-medical"), Path(__file__).with_name("mist_networks.py"), folder], check=True
    )
    results, weights = read_results(folder)
    converted, left_out = convert_weights(results, weights)
    assert bool(left_out) == (not architecture.startswith("swin")), "the auxiliary outputs of the training"
    arguments = dict(describe_model(results).network_arguments)
    if "deep_supervision" in arguments:
        arguments["deep_supervision"] = False
    network = build_network(arguments, NETWORKS[architecture].target_for(arguments)).eval()
    network.load_state_dict(converted["0"])
    with torch.no_grad():
        logits = network(torch.from_numpy(np.load(folder / "image.npy"))).numpy()
    expected = np.load(folder / "logits.npy")
    assert expected.std() > 0.01
    np.testing.assert_allclose(logits, expected, atol=1e-4)
