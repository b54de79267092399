"""The weights of a cross-validation's folds, and when they predict together.

A fold may be stored as model.pt alone. A training publishes model.pt as a copy of the best fold, so model.pt with any
other content came later: from federated rounds, from a program that trained the bundle further, or from a user. It
predicts by itself then, because an ensemble of the former folds would hide it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..predictions.say import say
from ..values import truth
from .files import read_object, sha256_of
from .manifest import lost_folds, stored_as_model

MODEL = "model.pt"
FINAL = "model_final.pt"  # of the last round of a federated training
_KEPT_DIGITS = 8  # of a hash, in the name of weights that are kept
_CHOSEN = {"postprocessing.json": "strategy", "confidence.json": "temperature"}


def kept_name(digest: str) -> str:
    """The file in models/ that keeps a model.pt which other weights replaced, by the sha256 of its content."""
    return f"model_{digest[:_KEPT_DIGITS]}.pt"


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
        files[Path(name).name] = str(folder / MODEL)
    return [files[name] for name in sorted(files)]


def ensemble_weights(fold_paths: Sequence[str], models_dir: str, ckpt_path: str, ensemble: bool | str) -> list[str]:
    """The weight files that predict together; empty where the weights of `ckpt_path` predict by themselves.

    They do where the ensemble is off, where a caller names weights of its own, and where model.pt is none of the folds,
    which a warning tells. Files that a caller lists are taken as they are.

    Args:
        fold_paths: weights of all folds, or files that a caller lists.
        models_dir: the bundle's folder of weights.
        ckpt_path: weights of a single model.
        ensemble: switch.
    """
    model, bundle = Path(models_dir) / MODEL, Path(models_dir).parent
    if not truth(ensemble) or Path(ckpt_path) != model:
        return []
    published = fold_weights(models_dir)
    if list(fold_paths) != published:
        return list(fold_paths)
    if not is_superseded(models_dir):
        _warn_of_final_weights(model.with_name(FINAL), published)
        _warn_of_lost_folds(bundle)
        return published
    names = ", ".join(Path(path).name for path in published)
    say(
        f"warning: {model}: has other weights than {names}, so it predicts by itself and the ensemble of the folds "
        f"is not used.{_chosen_for_folds(bundle)} If that is meant, pass --ensemble false; to predict with the folds "
        "again, copy one of their files to model.pt."
    )
    return []


def is_superseded(models_dir: str) -> bool:
    """Whether model.pt has weights that none of the folds has, so that the folds are older than it."""
    model = Path(models_dir) / MODEL
    folds = fold_weights(models_dir)
    if not folds or not model.is_file() or str(model) in folds:
        return False
    return not is_copy_of_any(model, folds)


def is_copy_of_any(file: Path, paths: Sequence[str]) -> bool:
    """Whether one of the files has the same content, or is the file itself."""
    size = file.stat().st_size
    same_size = [Path(path) for path in paths if Path(path).stat().st_size == size]
    return bool(same_size) and sha256_of(file) in map(sha256_of, same_size)


def _warn_of_final_weights(final: Path, folds: Sequence[str]) -> None:
    if folds and final.is_file() and not is_copy_of_any(final, folds):
        say(
            f"warning: {final}: has weights of a federated training, which the ensemble of the folds does not use. To "
            f"predict with them, pass --ckpt_path {final} or copy the file to model.pt; if they are out of date, "
            "delete the file."
        )


def _warn_of_lost_folds(bundle: Path) -> None:
    lost = ", ".join(lost_folds(bundle))
    if lost:
        say(f"warning: {bundle}: {lost}: not there, so the ensemble is smaller than MANIFEST.json says; get it again.")


def _chosen_for_folds(bundle: Path) -> str:
    """A sentence about what was chosen by the predictions of the folds and is still applied."""
    names = []
    for name, key in _CHOSEN.items():
        if read_object(bundle / "configs" / name).get(key):
            names.append(f"configs/{name}")
    return f" {' and '.join(names)} still hold what was chosen for the folds." if names else ""


def weights_of_fold(models_dir: str, fold: int | str) -> str:
    """The weight file of a fold: models/fold_K.pt, or model.pt where the bundle stores the weights of that fold once.

    The file need not exist: before the first training there is none.
    """
    name = f"fold_{int(fold)}.pt"
    if f"models/{name}" in stored_as_model(Path(models_dir).parent):
        return str(Path(models_dir) / MODEL)
    return str(Path(models_dir) / name)
