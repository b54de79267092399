"""What goes with published weights: a safetensors copy, and their hashes in the bundle's manifest."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import torch

MODEL = "model.pt"
MANIFEST = "MANIFEST.json"


class _Weights:
    """What safetensors asks for: something with a state dict. It stores tensors that share memory once."""

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self.weights = dict(weights)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The weights, by name."""
        return self.weights


def safetensors_path(path: Path) -> Path | None:
    """The file beside model.pt that holds the same weights; the weights of single folds have none."""
    return path.with_suffix(".safetensors") if path.name == MODEL else None


def write_safetensors(path: Path) -> None:
    """Write the weights in `path` (a plain state dict) beside it, where the package safetensors is installed.

    `safetensors.torch.load_model` reads them back: names that share a tensor are listed in the file's metadata.
    """
    target = safetensors_path(path)
    if target is None or not path.is_file() or find_spec("safetensors") is None:
        return
    from safetensors.torch import save_model

    weights = torch.load(path, map_location="cpu", weights_only=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".partial")
    os.close(handle)
    try:
        save_model(cast("torch.nn.Module", _Weights(weights)), temporary)
        Path(temporary).chmod(path.stat().st_mode)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def refresh_manifest(bundle: Path, files: Sequence[Path]) -> None:
    """Put the hashes of `files` into the bundle's manifest, if it has one; a signature over the former is removed."""
    manifest = bundle / MANIFEST
    if not manifest.is_file():
        return
    content = json.loads(manifest.read_text(encoding="utf-8"))
    for file in files:
        name = file.relative_to(bundle).as_posix()
        if file.is_file():
            content["files"][name] = hashlib.sha256(file.read_bytes()).hexdigest()
        else:
            content["files"].pop(name, None)
    content["files"] = dict(sorted(content["files"].items()))
    temporary = manifest.with_name(f".{MANIFEST}.{os.getpid()}.partial")
    temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, manifest)
    manifest.with_name(f"{MANIFEST}.sig").unlink(missing_ok=True)
