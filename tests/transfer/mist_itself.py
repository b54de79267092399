"""Run in an environment of mist-medical: `python mist_itself.py DATASET_JSON CASES_CSV WORK_FOLDER NETWORK`.

Analyses and preprocesses by MIST's own programs, trains MIST's network for some steps on a part of each image (its
trainer takes minutes for its first epoch), and predicts with `mist_predict`, with and without test-time flips.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PATCH, FOLDS, STEPS = [32, 32, 32], 2, 32
WEIGHTS = (1.0, 8.0, 8.0)  # of the classes, so that networks which learn slowly find some foreground, too
PROGRAMS = Path(sys.executable).parent


def run(program: str, *arguments: object) -> None:
    """Run a program of MIST."""
    subprocess.run([PROGRAMS / program, *map(str, arguments)], check=True)


def configure(results: Path, network: str) -> dict:
    """Shrink the patch, fix the spacing and choose the network."""
    path = results / "config.json"
    config = json.loads(path.read_text())
    config["spatial_config"] = {"patch_size": PATCH, "target_spacing": [1.0, 1.0, 1.0]}
    config["model"]["architecture"] = network
    config["model"]["params"].update(config["spatial_config"])
    path.write_text(json.dumps(config))
    return config


def train(config: dict, numpy_folder: Path, weights: Path, fold: int) -> None:
    """Some steps on random patches of all images."""
    import numpy as np
    import torch
    from mist.models.model_registry import get_model_from_registry

    torch.manual_seed(fold)
    places = np.random.default_rng(fold)
    network = get_model_from_registry(config["model"]["architecture"], **config["model"]["params"])
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    images = sorted((numpy_folder / "images").glob("*.npy"))
    for step in range(STEPS):
        image_path = images[step % len(images)]
        image, label = np.load(image_path), np.load(numpy_folder / "labels" / image_path.name)
        box = []
        for length, size in zip(label.shape[:3], PATCH, strict=True):
            start = int(places.integers(max(1, length - size + 1)))
            box.append(slice(start, start + size))
        patch, target = np.zeros((*PATCH, 1), np.float32), np.zeros(PATCH, np.int64)
        shape = label[tuple(box)].shape
        inside = tuple(slice(0, length) for length in shape[:3])
        patch[inside], target[inside] = image[tuple(box)], label[tuple(box)][..., 0]
        output = network(torch.from_numpy(patch).permute(3, 0, 1, 2)[None])
        logits = output["prediction"] if isinstance(output, dict) else output
        of_classes = torch.tensor(WEIGHTS)
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(target)[None], of_classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.save(network.state_dict(), weights)


def main(dataset: Path, cases: Path, work: Path, network: str) -> None:
    """All steps; everything is left in `work`."""
    results, arrays = work / "results", work / "numpy"
    run("mist_analyze", "--data", dataset, "--results", results, "--nfolds", FOLDS)
    config = configure(results, network)
    run("mist_preprocess", "--results", results, "--numpy", arrays)
    (results / "models").mkdir(exist_ok=True)
    for fold in range(FOLDS):
        train(config, arrays, results / f"models/fold_{fold}.pt", fold)
    for name, enabled in (("flips", True), ("plain", False)):
        config["inference"]["tta"]["enabled"] = enabled
        (work / f"{name}.json").write_text(json.dumps(config))
        predict = ("--models-dir", results / "models", "--config", work / f"{name}.json")
        run("mist_predict", *predict, "--paths-csv", cases, "--output", work / name, "--device", "cpu")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), sys.argv[4])
