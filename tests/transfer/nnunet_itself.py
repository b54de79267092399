"""Run in an environment of nnunetv2: `python nnunet_itself.py RAW_FOLDER WORK_FOLDER`.

Plans a small network, trains it for two short epochs, and stores the logits of a random patch. Everything is left in
WORK_FOLDER.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

raw, work = Path(sys.argv[1]), Path(sys.argv[2])
for name in ("preprocessed", "results"):
    (work / name).mkdir(parents=True, exist_ok=True)
os.environ.update(
    nnUNet_raw=str(raw),
    nnUNet_preprocessed=str(work / "preprocessed"),
    nnUNet_results=str(work / "results"),
    nnUNet_n_proc_DA="1",
    nnUNet_def_n_proc="1",
    nnUNet_compile="f",
)


def plan() -> tuple[str, dict]:
    """Let nnU-Net plan, then shrink network, batch and patch."""
    programs = Path(sys.executable).parent
    subprocess.run([programs / "nnUNetv2_extract_fingerprint", "-d", "4", "-np", "1"], check=True)
    subprocess.run([programs / "nnUNetv2_plan_experiment", "-d", "4"], check=True)
    (dataset,) = (path.name for path in (work / "preprocessed").iterdir())
    path = work / "preprocessed" / dataset / "nnUNetPlans.json"
    plans = json.loads(path.read_text())
    configuration = plans["configurations"]["3d_fullres"]
    arguments = configuration["architecture"]["arch_kwargs"]
    arguments["features_per_stage"] = [max(4, width // 4) for width in arguments["features_per_stage"]]
    configuration["batch_size"] = 2
    path.write_text(json.dumps(plans))
    subprocess.run([programs / "nnUNetv2_preprocess", "-d", "4", "-c", "3d_fullres", "-np", "1"], check=True)
    return dataset, plans


def train(dataset: str, plans: dict) -> Path:
    """Train two epochs of 10 steps; returns the folder of the results."""
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    folder = work / "preprocessed" / dataset
    description = json.loads((folder / "dataset.json").read_text())
    plans["continue_training"] = False
    torch.manual_seed(0)
    trainer = nnUNetTrainer(plans, "3d_fullres", 0, description, device=torch.device("cpu"))
    trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch, trainer.num_epochs = 10, 1, 2
    trainer.run_training()
    return Path(trainer.output_folder_base)


def store_logits(results: Path) -> None:
    """Logits of a random patch."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(results), (0,))
    torch.manual_seed(0)
    patch = torch.randn(1, 1, *predictor.configuration_manager.patch_size)
    network = predictor.network.eval()
    with torch.no_grad():
        torch.save({"patch": patch, "logits": network(patch)}, work / "logits.pt")


if __name__ == "__main__":
    name, content = plan()
    trained = train(name, content)
    store_logits(trained)
    (work / "trained.txt").write_text(str(trained))
