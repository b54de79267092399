"""What a bundle's place holds of earlier trainings, and what happens to it when the bundle is configured anew."""

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
    """Raise InputError when weights or states of trainings would be lost that the user has not given up.

    Args:
        bundle: where a new bundle is to lie.
        overwrite_weights: the user has given them up.
    """
    lost = list(_trained(bundle))
    if lost and not overwrite_weights:
        message = (
            f"holds trained work that a new configuration would lose: {'; '.join(lost)}. Choose another --output, or "
            "pass --overwrite --overwrite_weights to lose it. To go on with it: mist-bundle train "
            f"{bundle} --fold all --resume."
        )
        raise InputError(Problem(str(bundle), message))


def forget(bundle: Path) -> None:
    """Remove what trainings left in the work folder, and what was derived from it; prepared arrays stay."""
    work = work_dir_of(bundle)
    for folder in _fold_folders(work):
        shutil.rmtree(folder)
    for name in _DERIVED:
        path = work / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _trained(bundle: Path) -> Iterator[str]:
    weights = sorted(path.name for path in Bundle(bundle).models.glob("*.pt")) if is_bundle(bundle) else []
    if weights:
        yield f"models/{', '.join(weights)}"
    for folder in _fold_folders(work_dir_of(bundle)):
        status = read_status(folder)
        if status is not None:
            yield f"{folder.name}, trained to epoch {status.get('epoch')} of {status.get('epochs')}"
        elif has_state(folder):
            yield f"{folder.name}, trained"


def _fold_folders(work: Path) -> list[Path]:
    found = work.glob("fold_*") if work.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and path.name.removeprefix("fold_").isdigit())
