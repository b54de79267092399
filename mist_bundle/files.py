"""The files that the stages exchange: their names, clear errors when they are read, and all-or-nothing writing.

A file is written beside its final place, flushed to the disk and renamed (runtime/folds/files.py, which travels in
bundles). The same holds for folders (`new_folder`), so that an interrupted command leaves nothing half-written.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.folds import manifest
from mist_bundle.runtime.folds.files import UNFINISHED, umask
from mist_bundle.runtime.folds.files import write_bytes as write_bytes  # both for the rest of the package, too
from mist_bundle.runtime.folds.files import write_json as write_json
from mist_bundle.runtime.folds.locks import Lock, is_held

DATASET_JSON = "dataset.json"
FINGERPRINT_JSON = "fingerprint.json"
RESULTS_CSV = "results.csv"
RESULTS_JSON = "results.json"

# Inside a bundle
PLAN_JSON = "configs/plan.json"
DATALIST_JSON = "configs/datalist.json"
METADATA_JSON = "configs/metadata.json"
POSTPROCESSING_JSON = "configs/postprocessing.json"
CONFIDENCE_JSON = "configs/confidence.json"
CALIBRATION_JSON = "calibration.json"
LOGGING_CONF = "configs/logging.conf"
MANIFEST_JSON = manifest.MANIFEST
LARGE_FILES_YML = "large_files.yml"
ABSENT_CHANNELS_JSON = "absent_channels.json"  # in the work folder
MODEL_PT = manifest.MODEL
BUNDLE_README = "docs/README.md"
ROOT_README = "README.md"  # the same card, where Hugging Face reads it and its header; signed bundles have it
DATA_LICENSE = "docs/data_license.txt"
SOURCE_LICENSE = "docs/source_license.txt"  # of what a bundle's first weights were trained on
SBOM_JSON = "docs/sbom.cdx.json"
SCRIPTS_FOLDER = manifest.SCRIPTS

logger = logging.getLogger(__name__)

_LOCK, _OLD = ".lock", ".old"
_LOCK_SECONDS = 5.0
_NAME_AROUND = 30  # characters beside a wrong one that a message shows
_MAX_TEXT_BYTES = 256 * 10**6


def work_dir_of(bundle: Path) -> Path:
    """The folder beside a bundle that holds cache, logs, last checkpoints, predictions and the report."""
    return bundle.absolute().parent / f"{bundle.absolute().name}_work"


def real_path(path: Path) -> Path:
    """The absolute path with all links followed.

    A link that leads to itself stays as it is, where `Path.resolve` raises RuntimeError before Python 3.13: whoever
    opens the file says what is wrong.
    """
    return Path(os.path.realpath(path))


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte-order mark.

    Raises:
        InputError: the file is missing, not a regular file (a pipe or device could be endless), larger than 256 MB, or
            not UTF-8.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file (a pipe, socket or device)"
            raise InputError(Problem(str(path), f"is {what}; expected a text file."))
        if status.st_size > _MAX_TEXT_BYTES:
            message = f"has {status.st_size / 1e6:.0f} MB; expected at most {_MAX_TEXT_BYTES / 1e6:.0f} MB of text."
            raise InputError(Problem(str(path), message))
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read ({error.strerror or error}).")) from error
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        raise InputError(Problem(str(path), message)) from error


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        InputError: the file is missing or not JSON; the message names file, line and column.
    """
    return parse_json(read_text(path), str(path))


def as_json(value: Any, most: int = 80) -> str:
    """A value as JSON writes it, for messages: shortened after `most` characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= most else f"{text[:most]} …"


def parse_json(text: str, place: str) -> Any:
    """Parse JSON written by a user.

    Args:
        text: the JSON.
        place: file or option that holds it, for messages.

    Raises:
        InputError: it is not JSON, repeats a key, is nested too deeply, or holds a number that is too long or text that
            cannot be encoded.
    """
    repeated: list[Problem] = []

    def to_dict(items: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in items:
            if key in values:
                repeated.append(Problem(f"{place}: {key}", "occurs more than once. Keep it once."))
            values[key] = value
        return values

    try:
        content = json.loads(text, object_pairs_hook=to_dict)
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        message = f"is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise InputError(Problem(place, message)) from error
    except UnicodeEncodeError as error:
        message = "holds half a character (a lone \\ud800 … \\udfff), which cannot be written. Correct the text."
        raise InputError(Problem(place, message)) from error
    except RecursionError as error:
        raise InputError(Problem(place, "is nested too deeply.")) from error
    except ValueError as error:  # Python reads numbers of 4300 digits at most
        raise InputError(
            Problem(place, "holds a number that is too long (thousands of digits). Correct it.")
        ) from error
    if repeated:
        raise InputError(list(dict.fromkeys(repeated)))
    return content


def adopt_file(temporary: Path, target: Path) -> None:
    """Move a complete file of the same file system into place, with the default permissions of the user."""
    temporary.chmod(0o666 & ~umask())
    os.replace(temporary, target)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text atomically.

    Raises:
        InputError: the text holds the name of a file that is not UTF-8.
    """
    try:
        encoded = content.encode("utf-8")
    except UnicodeEncodeError as error:
        around = content[max(0, error.start - _NAME_AROUND) : error.end + _NAME_AROUND]
        message = f"would hold {around!a}, the name of a file or folder that is not UTF-8. Rename it first."
        raise InputError(Problem(str(path), message)) from error
    write_bytes(path, encoded)


@contextmanager
def new_folder(path: Path, *, overwrite: bool = False, inputs: Iterable[Path] = (), mark: str = "") -> Iterator[Path]:
    """Give an empty folder that becomes `path` when the block ends well, and vanishes when it does not.

    Args:
        path: where the folder shall lie in the end.
        overwrite: replace an existing folder once the new folder is complete.
        inputs: files and folders that are read: they are never replaced, and nothing is put among them.
        mark: as for `refuse_existing`.

    Raises:
        InputError: something lies at `path` and `overwrite` is False, or it would be lost with what is read or with the
            working directory.
    """
    refuse_to_replace(path, inputs)
    new_parents = _missing_parents(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leavings(path)
    refuse_existing(path, overwrite=overwrite, mark=mark)
    name = f".{path.name}.{secrets.token_hex(4)}"
    temporary = path.with_name(f"{name}{UNFINISHED}")
    lock = Lock(path.with_name(f"{name}{_LOCK}"))  # held while this command runs
    lock.acquire(_LOCK_SECONDS)
    try:
        temporary.mkdir()
        yield temporary
        _replace_folder(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        lock.release(remove=True)
        for parent in new_parents:
            with suppress(OSError):  # in use by another program
                parent.rmdir()
        raise
    finally:
        lock.release(remove=True)


def refuse_to_replace(path: Path, inputs: Iterable[Path] = ()) -> None:
    """Raise InputError when a new folder at `path` would take away what is read, or where somebody works or lives.

    Args:
        path: where the folder shall lie.
        inputs: files and folders that are read.
    """
    place = real_path(path)
    problems = []
    for source in inputs:
        found = real_path(source)
        if found == place or place in found.parents:
            problems.append(Problem(str(path), f"would replace {source}, which is read. Choose another place."))
        elif found in place.parents and found.is_dir():
            problems.append(Problem(str(path), f"lies within {source}, whose files are read. Choose another place."))
    for name, kept in (("the working directory", Path.cwd()), ("your home folder", _home())):
        if kept is not None and (real_path(kept) == place or place in real_path(kept).parents):
            problems.append(Problem(str(path), f"holds {name}, which would be lost. Choose another place."))
    if problems:
        raise InputError(list(dict.fromkeys(problems)))


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:
        return None


def remove_leavings(path: Path) -> None:
    """Put right the leavings of commands that were killed while they wrote the folder `path`, and say so.

    Unfinished folders are removed, unless their command still runs. A folder that was moved aside for its replacement
    is restored.
    """
    for old in _left(path, _OLD):
        kept = old / path.name
        if kept.is_dir() and not path.exists():
            os.replace(kept, path)
            logger.warning("warning: %s: a command was killed while it replaced this folder; it is back.", path)
        shutil.rmtree(old, ignore_errors=True)
    for unfinished in _left(path, UNFINISHED):
        shutil.rmtree(unfinished, ignore_errors=True)
        logger.warning("warning: %s: removed; a command that was killed had left it unfinished.", unfinished)
    for lock in _left(path, _LOCK):
        lock.unlink(missing_ok=True)


def _left(path: Path, suffix: str) -> list[Path]:
    """Folders of `new_folder` for `path` from commands that have ended, by the end of their names."""
    if not path.parent.is_dir():
        return []
    name = re.compile(rf"\.{re.escape(path.name)}\.\w{{8}}{re.escape(suffix)}")
    leavings = []
    for other in sorted(path.parent.iterdir()):
        if name.fullmatch(other.name) and not is_held(other.with_suffix(_LOCK)):
            leavings.append(other)
    return leavings


def _missing_parents(path: Path) -> list[Path]:
    """The folders above a path that do not exist, innermost first."""
    return [parent for parent in path.absolute().parents if not parent.exists()]


def check_can_write(folder: Path) -> None:
    """Check before anything is computed that a folder can be created, or written into if it is there.

    Raises:
        InputError: the path or a part of it is not a folder, or the place is read-only or full.
    """
    nearest = folder.absolute()
    try:
        while not _is_there(nearest):
            nearest = nearest.parent
        if not nearest.is_dir():
            message = f"cannot be created: {nearest} is not a folder. Choose another place."
            raise InputError(Problem(str(folder), message))
        Path(tempfile.mkdtemp(dir=nearest, prefix=".mist_bundle.", suffix=UNFINISHED)).rmdir()
    except OSError as error:
        message = f"cannot be written ({error.strerror or error}). Choose another place."
        raise InputError(Problem(str(folder), message)) from error


def _is_there(path: Path) -> bool:
    """Whether a path exists, also as a broken link; a name that is too long raises OSError."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise
    return True


def refuse_existing(path: Path, *, overwrite: bool, mark: str = "") -> None:
    """Raise InputError when `path` exists and may not be replaced; a device or pipe never may.

    Args:
        path: where something is to be written.
        overwrite: whether the user wants what is there replaced.
        mark: file that is in every folder of the kind that is to be written: what lacks it is something else of the
            user's, and is not replaced.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(Problem(str(path), "is a device, pipe or socket. Choose another place."))
    if not overwrite and (path.exists() or path.is_symlink()):
        raise InputError(Problem(str(path), "exists already. Choose another place or pass --overwrite."))
    if mark and path.exists() and not (path / mark).exists() and not _is_empty_folder(path):
        message = f"holds no {mark}, so it is something else than what is written here, and is not replaced."
        raise InputError(Problem(str(path), f"{message} Move it away, or choose another place."))


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and next(path.iterdir(), None) is None


def _replace_folder(temporary: Path, path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    if not path.exists():
        os.replace(temporary, path)
        return
    old = temporary.with_suffix(_OLD)
    old.mkdir()
    os.replace(path, old / path.name)
    os.replace(temporary, path)
    shutil.rmtree(old, ignore_errors=True)
