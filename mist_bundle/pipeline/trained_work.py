"""Earlier trainings of a bundle, and their fate when the bundle is configured again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from mist_bundle.bundle.folder import Bundle, is_bundle
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import RESULTS_CSV, RESULTS_JSON, work_dir_of
from mist_bundle.runtime.folds.state import has_state, read_status

_DERIVED = (RESULTS_CSV, RESULTS_JSON, "postprocessing", "predictions")


def refuse_to_lose(bundle: Path, *, overwrite_weights: bool) -> None:
    """Raise InputError if weights or states of trainings would be lost without the user's consent.

    Args:
        bundle: the place of the new bundle.
        overwrite_weights: the user's consent.
    """
    lost = list(_trained(bundle))
    if lost and not overwrite_weights:
        message = (
            f"holds trained work that a new configuration would lose: {'; '.join(lost)}. Choose another --output, or "
            "pass --overwrite --overwrite_weights to lose it. To continue with it: mist-bundle train "
            f"{bundle} --fold all --resume."
        )
        raise InputError(Problem(str(bundle), message))


def forget(bundle: Path) -> None:
    """Remove the states of trainings from the work folder, and results derived from them; prepared arrays stay."""
    work = work_dir_of(bundle)
    for folder in _fold_folders(work):
        shutil.rmtree(folder)
    for name in _DERIVED:
        path = work / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _trained(bundle: Path) -> Iterator[str]:
    weights = []
    if is_bundle(bundle):
        for path in sorted(Bundle(bundle).models.glob("*.pt")):
            weights.append(path.name)
    if weights:
        yield f"models/{', '.join(weights)}"
    for folder in _fold_folders(work_dir_of(bundle)):
        status = read_status(folder)
        if status is not None:
            yield f"{folder.name}, trained to epoch {status.get('epoch')} of {status.get('epochs')}"
        elif has_state(folder):
            yield f"{folder.name}, trained"


def _fold_folders(work: Path) -> list[Path]:
    folders = []
    for path in sorted(work.glob("fold_*")):
        if path.is_dir() and path.name.removeprefix("fold_").isdigit():
            folders.append(path)
    return folders
