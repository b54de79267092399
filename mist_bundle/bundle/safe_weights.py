"""model.safetensors beside model.pt: the same weights in a format that can hold nothing else."""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path


def write_safetensors(model: Path) -> Path | None:
    """Write the weights of a `.pt` file (a plain state dict) beside it; None where safetensors is not installed.

    Names that share a tensor are stored once and listed in the file's metadata, as `safetensors.torch.load_model`
    expects it.
    """
    target = model.with_suffix(".safetensors")
    if find_spec("safetensors") is None:
        target.unlink(missing_ok=True)  # better none than one of other weights
        return None
    import torch
    from safetensors.torch import save_model

    holder = torch.nn.Module()
    holder.state_dict = lambda: torch.load(model, map_location="cpu", weights_only=True)  # type: ignore[method-assign, assignment]
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".partial")
    os.close(handle)
    try:
        save_model(holder, temporary)
        Path(temporary).chmod(model.stat().st_mode)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return target
