"""Functions for files of weights."""

from __future__ import annotations

from pathlib import Path

from mist_bundle.api.arguments import checked
from mist_bundle.api.kinds import AnyPath, FileName


@checked
def average_weights(*sources: AnyPath, output: FileName, overwrite: bool = False) -> tuple[Path, ...]:
    """Average weights into a single model: the folds of a bundle, or files of the same network.

    Args:
        *sources: a bundle's folder (its models/fold_*.pt), or two files or more (.pt, .safetensors).
        output: file to write, .pt or .safetensors.
        overwrite: replace an existing file.

    Returns:
        The files that were averaged.
    """
    from mist_bundle import pipeline

    return pipeline.average_weights(list(map(Path, sources)), Path(output), overwrite=overwrite)
