"""From a zip file to a bundle's folder, safely: everything is checked before anything appears, nothing is executed."""

from __future__ import annotations

import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import yaml

from mist_bundle.artifacts import LARGE_FILES_YML, MANIFEST_JSON, METADATA_JSON, new_folder, refuse_existing
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.folds.manifest import LEFT_OUT
from mist_bundle.sharing.pack import TOP_FOLDER
from mist_bundle.trust.intact import check_manifest, pass_audit

# Limits of what is unpacked, far above any bundle seen
MAX_FILES = 20_000
MAX_BYTES = 64 * 2**30
MAX_EXPANSION = 200  # deflate's limit is about 1030; JSON and Python reach 20
SMALL = 2**20  # below it the expansion does not matter
_BLOCK = 2**20
_WINDOWS_NAMES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
)
_WINDOWS_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\\]')


def unpack_bundle(archive: Path, output: Path, *, trust: bool = False, overwrite: bool = False) -> Path:
    """Check a zip file and write the bundle in it into `output`/<its name>.

    Every name, kind and size is looked at before anything is written; what was written is compared with MANIFEST.json
    before the folder appears. Nothing of the bundle is executed.

    Args:
        archive: the zip file.
        output: folder that the bundle's folder is made in.
        trust: the user vouches for the bundle: it need not pass the audit and may have no MANIFEST.json, as those of
            the model zoo; one that does not fit is refused all the same.
        overwrite: replace a bundle that is there.

    Returns:
        The bundle's folder.

    Raises:
        InputError: naming everything that is wrong with it.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [info for info in opened.infolist() if not info.is_dir()]
            top = _check_members(archive, opened)
            target = output / top
            refuse_existing(target, overwrite=overwrite)
            with new_folder(target, overwrite=overwrite) as folder:
                for info in members:
                    _extract(opened, info, folder / PurePosixPath(info.filename).relative_to(top))
                _check_unpacked(folder, trust=trust)
    except (zipfile.BadZipFile, NotImplementedError, struct.error, EOFError, zlib.error) as error:
        raise InputError(Problem(str(archive), f"is not a zip file that can be read: {error}.")) from error
    except OSError as error:
        raise InputError(Problem(str(archive), f"cannot be unpacked: {error.strerror or error}.")) from error
    return target


def _check_members(archive: Path, opened: zipfile.ZipFile) -> str:
    """The name of the one folder in the archive; raises InputError naming every member that is not acceptable."""
    infos = opened.infolist()
    problems = [Problem(info.filename, problem) for info in infos if (problem := _member_problem(info))]
    tops = sorted({PurePosixPath(info.filename).parts[0] for info in infos if PurePosixPath(info.filename).parts})
    if len(tops) != 1 or not TOP_FOLDER.fullmatch(tops[0]):
        found = ", ".join(repr(top) for top in tops[:5]) or "nothing"
        problems.append(Problem(str(archive), f"holds {found}; expected one folder, the bundle's."))
    problems += _duplicate_problems([info.filename for info in infos])
    if len(infos) > MAX_FILES:
        problems.append(Problem(str(archive), f"holds {len(infos)} files; at most {MAX_FILES} are accepted."))
    total, stored = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
    if total > MAX_BYTES:
        problems.append(Problem(str(archive), f"unpacks to {total} bytes; at most {MAX_BYTES} are accepted."))
    if stored > archive.stat().st_size:
        problems.append(Problem(str(archive), "has files that lie on top of each other, as only made-up archives do."))
    if problems:
        raise InputError(problems)
    return tops[0]


def _member_problem(info: zipfile.ZipInfo) -> str:
    """Why a member is refused, or nothing."""
    name, mode = info.orig_filename, info.external_attr >> 16
    parts = name.rstrip("/").split("/")
    reserved = any(part.split(".")[0].lower() in _WINDOWS_NAMES or part != part.rstrip(". ") for part in parts)
    if name.startswith("/") or _WINDOWS_FORBIDDEN.search(name) or info.filename != name:
        return "is an absolute path or has a character that paths cannot have everywhere."
    if any(part in ("", ".", "..") for part in parts):
        return "leads out of the bundle's folder."
    if any(part.startswith(".") or part in LEFT_OUT for part in parts) or name.endswith((".pyc", ".pyo")):
        return "is hidden or a cache: compiled Python would run instead of the source that one can read."
    if reserved or any(len(part.encode()) > 200 for part in parts):
        return "has a name that some systems reserve or cannot store."
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device; a bundle holds files."
    if info.flag_bits & 0x1:
        return "is encrypted."
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by a method (number {info.compress_type}) that is not accepted."
    if info.file_size > SMALL and info.file_size > MAX_EXPANSION * max(1, info.compress_size):
        return f"grows from {info.compress_size} to {info.file_size} bytes: a zip bomb."
    return ""


def _duplicate_problems(names: Sequence[str]) -> list[Problem]:
    """Names that some file systems cannot tell apart, and files that are folders too."""
    seen: dict[str, str] = {}
    problems = []
    for name in names:
        key = unicodedata.normalize("NFC", name.rstrip("/")).casefold()
        if key in seen:
            problems.append(Problem(name, f"is there twice, or differs from {seen[key]!r} only in case."))
        seen[key] = name
    folders = {"/".join(key.split("/")[:depth]) for key in seen for depth in range(1, key.count("/") + 1)}
    problems += [
        Problem(seen[key], "is a file and a folder at once.")
        for key in sorted(folders & set(seen))
        if not seen[key].endswith("/")
    ]
    return problems


def _extract(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """Write one member, never more than it claims to hold, as a plain file that is not executable."""
    target.parent.mkdir(parents=True, exist_ok=True)
    left = info.file_size
    with opened.open(info) as source, target.open("xb") as sink:
        while block := source.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise zipfile.BadZipFile(f"{info.filename} is longer than it claims")
            sink.write(block)
    if left:
        raise zipfile.BadZipFile(f"{info.filename} is shorter than it claims")


def _check_unpacked(folder: Path, *, trust: bool) -> None:
    if not (folder / METADATA_JSON).is_file():
        raise InputError(Problem(METADATA_JSON, "is not in the archive; this is no MONAI bundle."))
    if (folder / MANIFEST_JSON).is_file():
        check_manifest(folder, absent=large_file_paths(folder))
    elif not trust:
        advice = "Pass --trust to accept it as it is, if you know where it came from."
        raise InputError(Problem(MANIFEST_JSON, f"is not in the archive, so that changes cannot be seen. {advice}"))
    pass_audit(folder, trust=trust)


def large_file_paths(bundle: Path) -> list[str]:
    """Paths that large_files.yml says are to be downloaded; none where there is no such file.

    Raises:
        InputError: it is there and is not what MONAI reads.
    """
    path = bundle / LARGE_FILES_YML
    if not path.is_file():
        return []
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [str(entry["path"]) for entry in content["large_files"]]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise InputError(Problem(LARGE_FILES_YML, f"is not a list of large files: {error}.")) from error
