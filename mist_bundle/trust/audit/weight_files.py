"""Weights and arrays: torch archives, bare pickles, NumPy files, safetensors, TorchScript and ONNX programs."""

from __future__ import annotations

import ast
import json
import re
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from mist_bundle.trust.archive import ZIP_ERRORS, grows_too_much
from mist_bundle.trust.audit.bundle_files import BundleFiles
from mist_bundle.trust.audit.finding import Finding, finding, shown
from mist_bundle.trust.audit.pickles import PickleContent, dangerous, scan_pickle

TORCH_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin")
PICKLE_SUFFIXES = (".pkl", ".pickle", ".p", ".joblib", ".dill", ".cloudpickle")
# what torch.save writes: a folder with a pickle, the tensors' bytes and a few markers
_TORCH_MEMBER = re.compile(
    r"[^/]+/(data\.pkl|data/\d+|byteorder|version|\.?data/serialization_id|\.format_version|\.storage_alignment)"
)
MAX_PICKLE_BYTES = 512 << 20
MAX_CODE_BYTES = 64 << 20
MAX_NAMED = 6
# operations of a TorchScript program that open files or leave its sandbox
_FILE_OPERATIONS = re.compile(
    r"\b(from_file|save|load|open|get_file|read_file|write_file|system|exec|eval|import_\w+)\b"
)


def check_weights(files: BundleFiles, name: str, final: str = "") -> Iterator[Finding]:
    """Findings of a file of weights, by its content; none for other files.

    Args:
        files: of the bundle.
        name: the file.
        final: the name that it will have, where it is still being written or published.
    """
    final = final or name
    suffix = "." + final.rsplit(".", 1)[-1].lower() if "." in final else ""
    head = files.read(name, 16)
    if suffix == ".safetensors":
        yield from _safetensors(files, name)
    elif suffix == ".npy" or head.startswith(b"\x93NUMPY"):
        yield from _npy(name, files.read(name, MAX_PICKLE_BYTES))
    elif suffix == ".onnx":
        yield from _onnx(name, files.read(name, MAX_CODE_BYTES))
    elif head.startswith(b"PK\x03\x04") or (
        suffix in (*TORCH_SUFFIXES, ".ts", ".pt2", ".npz") and head.startswith(b"PK")
    ):
        yield from _zip(files, name, suffix)
    elif suffix in TORCH_SUFFIXES or suffix in PICKLE_SUFFIXES or _is_pickle(head):
        yield from _bare_pickle(files, name, suffix)
    elif suffix in (".ts", ".pt2", ".npz"):
        yield finding("weights-broken", name, "", "It is not a zip archive, which such a file has to be.")


def _is_pickle(head: bytes) -> bool:
    return len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def _bare_pickle(files: BundleFiles, name: str, suffix: str) -> Iterator[Finding]:
    content = files.read(name, MAX_PICKLE_BYTES)
    scanned = scan_pickle(content)
    yield from _pickle_findings(name, "", scanned)
    if suffix in TORCH_SUFFIXES and (scanned.broken or not content):
        what = f"It is neither a torch archive nor a pickle ({shown(scanned.broken)})." if content else "It is empty."
        yield finding("weights-broken", name, "", what)
    elif not list(dangerous(scanned.foreign())):
        yield finding("pickle-unknown", name, "", "It is a bare pickle, not a torch archive.")


def _pickle_findings(name: str, member: str, scanned: PickleContent) -> Iterator[Finding]:
    foreign = scanned.foreign()
    grave = list(dangerous(foreign))
    if grave:
        verb = "It imports and calls" if scanned.calls else "It imports"
        yield finding("pickle", name, member, f"{verb} {', '.join(shown(word, 60) for word in grave[:MAX_NAMED])}.")
    elif foreign:
        yield finding(
            "pickle-unknown", name, member, f"It holds objects: {', '.join(map(shown, foreign[:MAX_NAMED]))}."
        )


def _zip(files: BundleFiles, name: str, suffix: str) -> Iterator[Finding]:
    try:
        with files.open(name) as stream, _seekable(files, stream) as plain, zipfile.ZipFile(plain) as archive:
            yield from _members(archive, name, suffix)
    except ZIP_ERRORS as error:
        yield finding("weights-broken", name, "", f"It cannot be read ({shown(str(error))}).")


@contextmanager
def _seekable(files: BundleFiles, stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """The stream itself, or a temporary copy: to seek in a member of a zip is to unpack it from its start each time."""
    if not files.is_zip:
        yield stream
        return
    with tempfile.TemporaryFile() as copy:
        while block := stream.read(1 << 20):
            copy.write(block)
        copy.seek(0)
        yield copy


def _members(archive: zipfile.ZipFile, name: str, suffix: str) -> Iterator[Finding]:
    members = archive.infolist()
    for member in members:
        if grows_too_much(member):
            yield finding(
                "zip-bomb", name, member.filename, f"{member.compress_size} bytes would unpack to {member.file_size}."
            )
            return
    program = any("/code/" in f"/{member.filename}" or member.filename.endswith("constants.pkl") for member in members)
    if suffix == ".npz":
        for member in members:
            yield from _npy(f"{name}/{member.filename}", archive.read(member)[:MAX_PICKLE_BYTES])
        return
    if program:
        yield from _torchscript(archive, name, suffix)
        return
    if suffix == ".pt2":
        yield from _exported(archive, name)
        return
    yield from _torch_archive(archive, name, suffix)


def _torch_archive(archive: zipfile.ZipFile, name: str, suffix: str) -> Iterator[Finding]:
    members = archive.infolist()
    for member in members if suffix in TORCH_SUFFIXES else ():
        if not _TORCH_MEMBER.fullmatch(member.filename):
            yield finding("archive-member", name, member.filename, "It is not a file that torch.save writes.")
    pickles = [member for member in members if member.filename.endswith(".pkl")]
    for member in pickles:
        yield from _pickle_of(archive, member, name)
    if not pickles and suffix in TORCH_SUFFIXES:
        yield finding("weights-broken", name, "", "It is a zip without data.pkl, so it is not a torch archive.")


def _pickle_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Iterator[Finding]:
    scanned = scan_pickle(archive.read(member)[:MAX_PICKLE_BYTES])
    if scanned.broken:
        yield finding("weights-broken", name, member.filename, f"Its opcodes end early ({shown(scanned.broken)}).")
    yield from _pickle_findings(name, member.filename, scanned)


def _torchscript(archive: zipfile.ZipFile, name: str, suffix: str) -> Iterator[Finding]:
    if suffix != ".ts":
        yield finding("torchscript", name, "", "It is a TorchScript program under the name of plain weights.")
    for member in archive.infolist():
        if member.filename.endswith(".pkl"):
            scanned = scan_pickle(archive.read(member)[:MAX_PICKLE_BYTES])
            # its own classes, and the lists and enumerations of TorchScript's own pickles
            own = {word for word in scanned.names if word.startswith(("__torch__.", "torch.jit._pickle."))}
            scanned.names -= own
            yield from _pickle_findings(name, member.filename, scanned)
        elif "/code/" in f"/{member.filename}" and member.filename.endswith(".py"):
            yield from _torchscript_code(name, member.filename, archive.read(member)[:MAX_CODE_BYTES])
    yield finding("program", name, "", "It is a TorchScript program.")


def _torchscript_code(name: str, member: str, content: bytes) -> Iterator[Finding]:
    try:
        tree = ast.parse(content.decode("utf-8"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # some of its own syntax is not Python's: look at the words instead
        words = _FILE_OPERATIONS.findall(content.decode("utf-8", "replace"))
    else:
        words = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _FILE_OPERATIONS.fullmatch(_called_name(node)):
                words.append(_called_name(node))
    if words:
        yield finding("torchscript", name, member, f"Its code calls {', '.join(sorted(set(words)))}.")


def _called_name(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _exported(archive: zipfile.ZipFile, name: str) -> Iterator[Finding]:
    for member in archive.infolist():
        if member.filename.endswith((".pt", ".pkl")):
            content = archive.read(member)[:MAX_PICKLE_BYTES]
            if content.startswith(b"PK"):
                with tempfile.TemporaryFile() as copy:
                    copy.write(content)
                    copy.seek(0)
                    with zipfile.ZipFile(copy) as inner:
                        for part in inner.infolist():
                            if part.filename.endswith(".pkl"):
                                yield from _pickle_of(inner, part, name)
            else:
                yield from _pickle_findings(name, member.filename, scan_pickle(content))
    yield finding("program", name, "", "It is an exported program; its symbols are evaluated when it is loaded.")


def _npy(name: str, content: bytes) -> Iterator[Finding]:
    match = re.match(rb"\x93NUMPY([\x01-\x03])\x00", content)
    if match is None or len(content) < 12:
        yield finding("weights-broken", name, "", "It is not a NumPy array.")
        return
    start, kind = (10, "<H") if match.group(1) == b"\x01" else (12, "<I")
    length = struct.unpack(kind, content[8:start])[0]
    header = content[start : start + length].decode("latin-1")
    try:
        described = ast.literal_eval(header.strip())["descr"]
    except (SyntaxError, ValueError, KeyError, TypeError, RecursionError, MemoryError):
        yield finding("weights-broken", name, "", "Its header cannot be read.")
        return
    if "O" in str(described):
        scanned = scan_pickle(content[start + length :])
        named = ", ".join(shown(word, 60) for word in sorted(scanned.names)[:MAX_NAMED])
        yield finding(
            "pickle", name, "", f"It is an array of objects, that is a pickle; it imports {named or 'nothing'}."
        )


def _safetensors(files: BundleFiles, name: str) -> Iterator[Finding]:
    size = files.sizes[name]
    head = files.read(name, 8)
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else -1
    if not 0 <= length <= min(100 << 20, size - 8):
        yield finding("weights-broken", name, "", "Its header is longer than the file, or missing.")
        return
    try:
        header = json.loads(files.read(name, 8 + length)[8:])
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        complete = max(ends, default=0) == size - 8 - length
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        yield finding("weights-broken", name, "", "Its header cannot be read.")
        return
    if not complete:
        yield finding("weights-broken", name, "", "Its tensors do not end where the file ends.")


def _onnx(name: str, content: bytes) -> Iterator[Finding]:
    # external data are named by a protobuf entry: the key "location" followed by its value
    for match in re.finditer(rb"\x0a\x08location\x12(.)", content, re.DOTALL):
        value = content[match.end() : match.end() + match.group(1)[0]].decode("utf-8", "replace")
        if value.startswith("/") or ".." in value.replace("\\", "/").split("/"):
            yield finding("path", name, "", f"Its tensors would be read from {shown(value)}.")
    yield finding("program", name, "", "It is an ONNX program.")
