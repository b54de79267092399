"""The state of a trained fold without a training."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from mist_bundle.bundle.folder import Bundle, Fold
from mist_bundle.runtime.folds.files import sha256_of


def save_best(bundle: Path, number: int, score: float = 0.5) -> Fold:
    """Write best weights and status.json of a fold into the work folder of a bundle."""
    fold = Bundle(bundle).fold(number)
    fold.folder.mkdir(parents=True, exist_ok=True)
    best = fold.folder / "best.pt"
    torch.save({"weight": torch.full((2,), float(number))}, best)
    status = {"best": {"file": best.name, "sha256": sha256_of(best)}, "best_score": score}
    fold.status_file.write_text(json.dumps(status), encoding="utf-8")
    return fold
