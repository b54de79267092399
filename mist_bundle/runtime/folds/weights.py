"""The weights of a cross-validation's folds, of which a fold may be stored as model.pt alone."""

from __future__ import annotations

from pathlib import Path

from .manifest import stored_as_model


def fold_weights(models_dir: str) -> list[str]:
    """The weight files of all folds of a bundle, sorted by fold.

    model.pt is a copy of the best fold's weights. A bundle that stores them once has no file of that fold, and its
    manifest lists the fold with the hash of model.pt, which then stands for the fold, so that an ensemble is complete.

    Args:
        models_dir: the bundle's folder of weights.

    Returns:
        Paths; empty before the first fold was trained.
    """
    folder = Path(models_dir)
    files = {}
    for path in folder.glob("fold_*.pt"):
        files[path.name] = str(path)
    for name in stored_as_model(folder.parent):
        files[Path(name).name] = str(folder / "model.pt")
    return [files[name] for name in sorted(files)]


def weights_of_fold(models_dir: str, fold: int | str) -> str:
    """The weight file of a fold: models/fold_K.pt, or model.pt where the bundle stores the weights of that fold once.

    The file need not exist: before the first training there is none.
    """
    name = f"fold_{int(fold)}.pt"
    if f"models/{name}" in stored_as_model(Path(models_dir).parent):
        return str(Path(models_dir) / "model.pt")
    return str(Path(models_dir) / name)
