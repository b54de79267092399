"""The one policy for zip files of bundles: what `audit` and `unpack` refuse before anything is read."""

from __future__ import annotations

import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mist_bundle.runtime.folds.manifest import LEFT_OUT
from mist_bundle.runtime.wording import list_names

# Limits far above any bundle seen
MAX_FILES = 10_000
MAX_BYTES = 64 << 30
MAX_EXPANSION = 200  # deflate reaches about 1030; JSON and Python reach 20, weights hardly 2
FREE_BYTES = 1 << 20  # small files may be as repetitive as they like
MAX_NAME_BYTES = 200
LOCAL_HEADER_BYTES = 30

TOP_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_WINDOWS_NAME = re.compile(r"(con|prn|aux|nul|(com|lpt)[1-9])(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\\]')

# what zipfile raises for archives that are truncated, encrypted or use an unknown compression
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
    OSError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Why an archive is refused.

    Attributes:
        code: the audit's rule.
        member: the name in the archive; empty for the archive as a whole.
        what: the fault, a sentence without its subject.
    """

    code: str
    member: str
    what: str


def archive_faults(archive: zipfile.ZipFile, size: int) -> list[Fault]:
    """Everything that is wrong with an archive, by its directory alone; nothing is unpacked.

    Args:
        archive: the opened file.
        size: of the file in bytes.

    Returns:
        The faults; empty for an archive of plain files in a single folder.
    """
    members = archive.infolist()
    if len(members) > MAX_FILES:
        return [
            Fault(code="zip-bomb", member="", what=f"holds {len(members)} files; at most {MAX_FILES} are accepted.")
        ]
    faults = []
    for member in members:
        fault = _member_fault(member)
        if fault is not None:
            faults.append(fault)
    return [*faults, *_size_faults(members, size), *_overlaps(members), *_same_names(members), *_layout(members)]


def top_folder(archive: zipfile.ZipFile) -> str:
    """The name of the folder in an archive without faults."""
    return archive.infolist()[0].filename.split("/")[0]


def grows_too_much(member: zipfile.ZipInfo) -> bool:
    """Whether a member expands as only forged archives do."""
    return member.file_size > max(FREE_BYTES, MAX_EXPANSION * member.compress_size)


def _member_fault(member: zipfile.ZipInfo) -> Fault | None:
    # orig_filename is what the archive says; zipfile cuts it at a NUL and turns the system's separator
    name = member.orig_filename
    kind = stat.S_IFMT(member.external_attr >> 16)
    code, what = _name_fault(name)
    if code or member.filename != name:
        what = what or "has a name that is read differently by different programs."
        return Fault(code=code or "zip-path", member=name, what=what)
    if kind == stat.S_IFLNK:
        return Fault(code="link", member=name, what="is a link or a device; a bundle holds files.")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return Fault(code="special-file", member=name, what="is a link or a device; a bundle holds files.")
    if member.flag_bits & 0x1:
        return Fault(code="zip-damaged", member=name, what="is encrypted and cannot be checked.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        what = f"is compressed by a method (number {member.compress_type}) that is not accepted."
        return Fault(code="zip-damaged", member=name, what=what)
    if grows_too_much(member):
        what = f"grows from {member.compress_size} to {member.file_size} bytes: a zip bomb."
        return Fault(code="zip-bomb", member=name, what=what)
    return None


def _name_fault(name: str) -> tuple[str, str]:
    """The rule that a name breaks and how; two empty texts for a name that is accepted."""
    parts = name.rstrip("/").split("/")
    faults = set(map(_part_fault, parts))
    if name.startswith("/") or _FORBIDDEN.search(name):
        return "zip-path", "is an absolute path or has a character that paths cannot have everywhere."
    if "path" in faults:
        return "zip-path", "leads out of the bundle's folder."
    if "__pycache__" in parts or name.endswith((".pyc", ".pyo")):
        return "bytecode", "is compiled Python, which would run instead of its readable source."
    if "hidden" in faults:
        return "zip-layout", "is a hidden file or a cache, which `pack` leaves out."
    if "reserved" in faults:
        return "zip-names", "has a name that some systems reserve or cannot store."
    return "", ""


def _part_fault(part: str) -> str:
    """The gravest fault of a part of a path; "" for a part that is accepted."""
    if part in ("", ".", ".."):
        return "path"
    if part.startswith(".") or part in LEFT_OUT:
        return "hidden"
    is_too_long = len(part.encode()) > MAX_NAME_BYTES
    if _WINDOWS_NAME.fullmatch(part) or part != part.rstrip(". ") or is_too_long:
        return "reserved"
    return ""


def _size_faults(members: Sequence[zipfile.ZipInfo], size: int) -> Iterator[Fault]:
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES:
        yield Fault(code="zip-bomb", member="", what=f"unpacks to {total} bytes; at most {MAX_BYTES} are accepted.")
    if sum(member.compress_size for member in members) > size:
        yield Fault(code="zip-bomb", member="", what="claims to store more bytes than it has.")


def _overlaps(members: Sequence[zipfile.ZipInfo]) -> Iterator[Fault]:
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            what = "and another file overlap, as only happens in forged archives."
            yield Fault(code="zip-bomb", member=member.filename, what=what)
        end = member.header_offset + LOCAL_HEADER_BYTES + member.compress_size


def _same_names(members: Sequence[zipfile.ZipInfo]) -> Iterator[Fault]:
    """Names that some file systems cannot tell apart, and files that are folders too."""
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for member in members:
        # file systems that ignore case or normalise Unicode store two such names as a single file
        key = unicodedata.normalize("NFKC", member.filename.rstrip("/")).casefold()
        if key in seen:
            what = f"occurs twice, or differs from {seen[key]!r} only in case or in the form of its letters."
            yield Fault(code="zip-names", member=member.filename, what=what)
        seen[key] = member.filename
        parts = key.split("/")
        for depth in range(1, len(parts)):
            folders.add("/".join(parts[:depth]))
    for key in sorted(folders & seen.keys()):
        if not seen[key].endswith("/"):
            yield Fault(code="zip-names", member=seen[key], what="is a file and a folder at once.")


def _layout(members: Sequence[zipfile.ZipInfo]) -> Iterator[Fault]:
    tops = sorted({member.filename.split("/")[0] for member in members})
    in_a_folder = all("/" in member.filename for member in members)
    if len(tops) != 1 or not in_a_folder or not TOP_FOLDER.fullmatch(tops[0]):
        names = list_names(list(map(repr, tops))) or "nothing"
        yield Fault(code="zip-layout", member="", what=f"holds {names}; expected a single folder, the bundle's.")
