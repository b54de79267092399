"""The one way in which this package changes a bundle that is there, and what is done about an interrupted change."""

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
        InputError: the bundle cannot be written to; it is as it was.
    """
    try:
        return publish(bundle, files, renew=renew)
    except PublicationError as error:
        raise InputError(Problem(str(bundle), str(error))) from error
    except OSError as error:
        raise InputError(_cannot_write(bundle, error)) from error


def publish_weights(bundle: Path, fold: Fold) -> list[str]:
    """Put the best weights of a fold into its bundle, whether its training has ended or not.

    Returns:
        Paths in the bundle that changed; empty where they were there already.

    Raises:
        InputError: there are no weights to publish, or the bundle cannot be written to; it is as it was.
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
    """Carry out what is left of a publication that was interrupted.

    Where the bundle cannot be written to, it stays as it is: in every state of a publication it can be used.
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
