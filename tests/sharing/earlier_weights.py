"""A bundle that holds earlier weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from mist_bundle.bundle.manifest import write_manifest


def keep_earlier_weights(bundle: Path) -> str:
    """Put earlier weights into a bundle, as a publication does, and others whose name only looks like theirs.

    Returns:
        The path of the earlier weights in the bundle.
    """
    models = bundle / "models"
    torch.save({"weight": torch.zeros(50_000)}, models / "model.pt")
    torch.save({"weight": torch.ones(3)}, models / "model_deadbeef.pt")
    torch.save({"weight": torch.ones(50_000)}, models / "earlier.pt")
    digest = hashlib.sha256((models / "earlier.pt").read_bytes()).hexdigest()
    kept = (models / "earlier.pt").rename(models / f"model_{digest[:8]}.pt")
    write_manifest(bundle)
    return kept.relative_to(bundle).as_posix()
