"""Changes of an existing bundle, all or nothing, and the completion of an interrupted change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mist_bundle.bundle.folder import Fold
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import MODEL_PT
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.finite import file_problem
from mist_bundle.runtime.folds.manifest import accepted_hashes, read_manifest
from mist_bundle.runtime.folds.publication import Content, PublicationError, finish, publish
from mist_bundle.runtime.folds.publish_weights import SAFETENSORS, publish_fold, without_results, write_safetensors

# a training may replace its best weights while they are copied
_ATTEMPTS = 3
REPLACED = "model.pt was replaced after the training of the folds, and has not been evaluated since."


def publish_files(bundle: Path, files: Mapping[str, Content], *, renew: bool = False) -> list[str]:
    """Replace files of a bundle and its manifest, all or nothing; see `runtime.folds.publication.publish`.

    Raises:
        InputError: the bundle cannot be written to; it is unchanged.
    """
    try:
        return publish(bundle, files, renew=renew)
    except PublicationError as error:
        raise InputError(Problem(str(bundle), str(error))) from error
    except OSError as error:
        raise InputError(_cannot_write(bundle, error)) from error


def publish_weights(bundle: Path, fold: Fold) -> list[str]:
    """Copy the best weights of a fold into its bundle, whether its training has ended or not.

    Returns:
        Paths in the bundle that changed; empty if it already has these weights.

    Raises:
        InputError: there are no weights to publish, or the bundle cannot be written to; it is unchanged.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return publish_fold(fold.folder, fold.weights)
        except PublicationError as error:
            if attempt + 1 == _ATTEMPTS or not fold.is_being_trained():
                raise InputError(Problem(f"fold {fold.number}", str(error))) from error
        except OSError as error:
            raise InputError(_cannot_write(bundle, error)) from error
    return []


def is_model_replaced(bundle: Path) -> bool:
    """Return whether models/model.pt is another file than the manifest lists."""
    model, manifest = bundle / MODEL_PT, read_manifest(bundle)
    if manifest is None or MODEL_PT not in manifest["files"] or not model.is_file():
        return False
    return sha256_of(model) not in accepted_hashes(manifest)[MODEL_PT]


def files_of_replaced_model(bundle: Path, scratch: Path) -> dict[str, Content]:
    """What has to follow models/model.pt where it is no longer the file of the manifest: somebody replaced it.

    The safetensors copy is made from it, and what is known about the former weights is taken back.

    Args:
        bundle: its folder.
        scratch: folder for the copy.

    Raises:
        InputError: the file cannot be loaded, or holds NaN or infinite numbers.
    """
    if not is_model_replaced(bundle):
        return {}
    model = bundle / MODEL_PT
    problem = file_problem(model)
    if problem:
        raise InputError(Problem(MODEL_PT, f"{problem}. Put finite weights or the former file there."))
    try:
        copy = write_safetensors(model, scratch / SAFETENSORS)
    except Exception as error:
        message = f"is not a file of weights that can be loaded ({type(error).__name__}). Put the former file back."
        raise InputError(Problem(MODEL_PT, message)) from error
    return {f"models/{SAFETENSORS}": copy, **without_results(bundle, REPLACED)}


def finish_publication(bundle: Path) -> None:
    """Complete a publication that was interrupted.

    A bundle that cannot be written to stays as it is: it can be used in every state of a publication.
    """
    try:
        finish(bundle)
    except OSError:
        return
    except PublicationError as error:
        raise InputError(Problem(str(bundle), str(error))) from error


def _cannot_write(bundle: Path, error: OSError) -> Problem:
    place = error.filename if isinstance(error.filename, str) else str(bundle)
    reason = error.strerror or str(error)
    return Problem(place, f"cannot be written ({reason}). The bundle is unchanged; make room or choose another place.")
