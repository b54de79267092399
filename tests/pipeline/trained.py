"""What tests do with a trained bundle: look at all of it, and replace its weights."""

from __future__ import annotations

import shutil
from pathlib import Path

from mist_bundle import pipeline
from mist_bundle.files import read_json, work_dir_of, write_json
from mist_bundle.runtime.folds.files import sha256_of

# the settings that the folds of the trained bundle were begun with
GO_ON = {"resume": True, "val_interval": 1}

# what makes a bundle one that nobody could train, and what is said of it
BUNDLES_THAT_CANNOT_RUN = (
    (lambda bundle: (bundle / "configs/plan.json").unlink(), "is not a bundle of mist-bundle: it has no configs/plan"),
    (lambda bundle: (bundle / "configs/plan.json").write_text("{}"), "plan.json: is not a plan of mist-bundle"),
    (lambda bundle: (bundle / "scripts/own.py").write_text("import os"), "own.py"),
    (lambda bundle: shutil.rmtree(bundle / "configs"), "is not a bundle: there is no configs/ folder"),
)


def everything(bundle: Path) -> dict[str, str]:
    work = work_dir_of(bundle)
    files = [path for folder in (bundle, work) for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(bundle.parent)): sha256_of(path) for path in files}


def replace_weights(bundle: Path, fold: int = 0) -> None:
    """As if the fold had been trained again: other best weights, published."""
    import torch

    folder = work_dir_of(bundle) / f"fold_{fold}"
    status = read_json(folder / "status.json")
    best = folder / status["best"]["file"]
    weights = {name: value + 0.5 for name, value in torch.load(best, weights_only=True).items()}
    torch.save(weights, best)
    status["best"]["sha256"] = sha256_of(best)
    write_json(folder / "status.json", status)
    assert pipeline.publish(bundle, [fold])[fold]
