"""Changes of an existing bundle, all or nothing, and the completion of an interrupted change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mist_bundle.bundle.folder import Fold
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.folds.publication import Content, PublicationError, finish, publish
from mist_bundle.runtime.folds.publish_weights import publish_fold

# a training may replace its best weights while they are copied
_ATTEMPTS = 3


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
    return Problem(place, f"cannot be written ({reason}). The bundle is as it was; make room or choose another place.")
