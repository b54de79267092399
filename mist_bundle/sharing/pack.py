"""A bundle as a zip file. The same files always give the same bytes.

The archive is stored, not compressed: weights hardly shrink, and its bytes then depend on no version of zlib.
"""

from __future__ import annotations

import io
import re
import stat
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import yaml

from mist_bundle.bundle.manifest import Manifest, bundle_contents
from mist_bundle.bundle.publish import finish_publication
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import (
    LARGE_FILES_YML,
    MANIFEST_JSON,
    METADATA_JSON,
    adopt_file,
    check_can_write,
    real_path,
    refuse_existing,
)
from mist_bundle.runtime.folds.files import json_text, sha256_of, sha256_of_bytes
from mist_bundle.runtime.folds.manifest import SIGNATURES
from mist_bundle.trust.archive import TOP_FOLDER
from mist_bundle.trust.intact import check_manifest

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip file can hold
FILE_MODE = stat.S_IFREG | 0o644
UNIX = 3
LARGE_FILE_LIMIT_MB = 25.0  # what the model zoo's repository takes
_BLOCK = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """An archive that was written.

    Attributes:
        file: the zip.
        sha256: of the zip.
        num_files: in it.
        large_files: path in the bundle -> address, of files that are not in the zip and have to be put there.
        kept_weights: paths in the bundle of earlier weights, which are not shared.
    """

    file: Path
    sha256: str
    num_files: int
    large_files: Mapping[str, str]
    kept_weights: tuple[str, ...]


def files_to_publish(bundle: Path) -> dict[str, bytes | Path]:
    """The files of a bundle to publish, by path in it; those that exist only in the published form as their content.

    The scripts are plain files, whether the folder holds them or links to them; weights that another file stands for
    are there again; earlier weights that were kept when model.pt was replaced are left out; and the manifest lists all
    of it.

    Raises:
        InputError: files that do not fit the manifest, a link among them, or a signature that covers earlier weights.
    """
    check_manifest(bundle)
    files: dict[str, bytes | Path] = dict(bundle_contents(bundle))
    manifest = Manifest.read(bundle)
    if manifest.pending:
        message = "lists a publication that was interrupted. Make its folder writable: then it is finished first."
        raise InputError(Problem(MANIFEST_JSON, message))
    kept = manifest.kept_weights
    if kept:
        message = f"covers {', '.join(kept)}: earlier weights, which are not shared. "
        message += "Move them out of the bundle, renew the manifest with bump, and sign it again."
        _refuse_signed(files, message)
    for name in kept:
        del files[name]
    if manifest.linked or kept:
        files[MANIFEST_JSON] = json_text(Manifest(files=_published_hashes(manifest)).to_json()).encode()
    return files


def _published_hashes(manifest: Manifest) -> dict[str, str]:
    hashes = manifest.complete
    for name in manifest.kept_weights:
        del hashes[name]
    return hashes


def _refuse_signed(files: Mapping[str, object], message: str) -> None:
    problems = [Problem(signature, message) for signature in SIGNATURES if signature in files]
    if problems:
        raise InputError(problems)


def pack_bundle(
    bundle: Path,
    output: Path,
    *,
    large_files_url: str | None = None,
    large_files_limit_mb: float = LARGE_FILE_LIMIT_MB,
    overwrite: bool = False,
) -> Packed:
    """Write a bundle as a zip file with a single folder in it, named like the bundle.

    Args:
        bundle: its folder, which is not changed; its manifest must fit its files.
        output: the zip file.
        large_files_url: address of a folder; files above the limit are then left out of the zip, and large_files.yml
            in it says that they are there.
        large_files_limit_mb: megabytes above which a file is large.
        overwrite: replace an existing file.

    Raises:
        InputError: no bundle, a manifest that does not fit, or `output` exists.
    """
    if output.suffix.lower() != ".zip":
        raise InputError(Problem("--output", f"is {output.name!r}; expected a name that ends in .zip."))
    refuse_existing(output, overwrite=overwrite)
    check_can_write(output.parent)
    bundle = bundle.absolute()
    if not (bundle / METADATA_JSON).is_file():
        raise InputError(Problem(str(bundle), f"is not a bundle: there is no {METADATA_JSON} in it."))
    if real_path(bundle) in real_path(output).parents:
        message = f"is {output}, within the bundle, whose manifest it would invalidate. Choose a place outside."
        raise InputError(Problem("--output", message))
    if not TOP_FOLDER.fullmatch(bundle.name):
        raise InputError(Problem(bundle.name, "expected a folder named with letters, digits, '.', '_' and '-'."))
    finish_publication(bundle)
    contents = _files_with_advice(bundle)
    manifest = Manifest.read(bundle)
    large = _large_files(contents, large_files_url, large_files_limit_mb)
    if large:
        _leave_out(large, contents, _published_hashes(manifest))
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
        archive = Path(folder) / output.name
        _write_zip(archive, bundle.name, contents)
        digest = sha256_of(archive)
        adopt_file(archive, output)
    return Packed(
        file=output,
        sha256=digest,
        num_files=len(contents),
        large_files=large,
        kept_weights=manifest.kept_weights,
    )


def _files_with_advice(bundle: Path) -> dict[str, bytes | Path]:
    try:
        return files_to_publish(bundle)
    except InputError as error:
        advice = "Run finalize (after training) or bump (after editing), which renew the manifest."
        raise InputError([*error.problems, Problem(MANIFEST_JSON, advice)]) from error


def _large_files(contents: Mapping[str, bytes | Path], url: str | None, limit_mb: float) -> dict[str, str]:
    if url is None:
        return {}
    if not re.match(r"https?://", url):
        raise InputError(Problem("--large_files_url", f"is {url!r}; expected an address that begins with https://."))
    large = {}
    for name, content in contents.items():
        if _size(content) > limit_mb * 1e6:
            large[name] = f"{url.rstrip('/')}/{name}"
    return large


def _leave_out(large: Mapping[str, str], contents: dict[str, bytes | Path], hashes: Mapping[str, str]) -> None:
    """Replace the large files by a large_files.yml that says where they are."""
    message = "covers a manifest that the list of large files would change. Delete it, and sign what unpack writes."
    _refuse_signed(contents, message)
    for name in large:
        del contents[name]
    text = large_files_text(large, hashes).encode()
    contents[LARGE_FILES_YML] = text
    listed = {**hashes, LARGE_FILES_YML: sha256_of_bytes(text)}
    contents[MANIFEST_JSON] = json_text(Manifest(files=listed).to_json()).encode()


def large_files_text(large: Mapping[str, str], hashes: Mapping[str, str]) -> str:
    """large_files.yml as `python -m monai.bundle download_large_files` reads it."""
    entries = []
    for path, url in large.items():
        entries.append({"path": path, "url": url, "hash_val": hashes[path], "hash_type": "sha256"})
    return yaml.safe_dump({"large_files": entries}, sort_keys=False, width=1000)


def _write_zip(target: Path, top: str, contents: Mapping[str, bytes | Path]) -> None:
    try:
        _fill_zip(target, top, contents)
    except OSError as error:
        if error.filename is None:  # a full disk is told without the file that did not fit
            error.filename = str(target)
        raise


def _fill_zip(target: Path, top: str, contents: Mapping[str, bytes | Path]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            info = zipfile.ZipInfo(f"{top}/{name}", EPOCH)
            info.create_system, info.external_attr = UNIX, FILE_MODE << 16
            content = contents[name]
            # the size decides whether a zip64 record is written, so it is set beforehand
            info.file_size = _size(content)
            with _reader(content) as source, archive.open(info, "w") as sink:
                while block := source.read(_BLOCK):
                    sink.write(block)


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _reader(content: bytes | Path) -> IO[bytes]:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
