"""From a zip file to a bundle's folder, safely: everything is checked before anything appears, nothing is executed."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

import yaml

from mist_bundle.errors import InputError, Problem
from mist_bundle.files import LARGE_FILES_YML, MANIFEST_JSON, METADATA_JSON, new_folder, refuse_existing
from mist_bundle.trust.archive import ZIP_ERRORS, archive_faults, top_folder
from mist_bundle.trust.intact import check_manifest, pass_audit

_BLOCK = 2**20


def unpack_bundle(archive: Path, output: Path, *, trust: bool = False, overwrite: bool = False) -> Path:
    """Check a zip file and write the bundle in it into `output`/<its name>.

    Every name, kind and size is looked at before anything is written; what was written is compared with MANIFEST.json
    before the folder appears. Nothing of the bundle is executed.

    Args:
        archive: the zip file.
        output: folder in which the bundle's folder is created.
        trust: the user vouches for the bundle: it need not pass the audit and may have no MANIFEST.json, as those of
            the model zoo; a manifest that does not fit is still refused.
        overwrite: replace an existing bundle.

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
            refuse_existing(target, overwrite=overwrite, mark=METADATA_JSON)
            with new_folder(target, overwrite=overwrite, inputs=[archive], mark=METADATA_JSON) as folder:
                for info in members:
                    _extract(opened, info, folder / PurePosixPath(info.filename).relative_to(top))
                _check_unpacked(folder, trust=trust)
    except OSError as error:
        raise InputError(Problem(str(archive), f"cannot be unpacked: {error.strerror or error}.")) from error
    except ZIP_ERRORS as error:
        raise InputError(Problem(str(archive), f"is not a zip file that can be read: {error}.")) from error
    return target


def _check_members(archive: Path, opened: zipfile.ZipFile) -> str:
    """The name of the folder in the archive; raises InputError naming every member that is not acceptable."""
    faults = archive_faults(opened, archive.stat().st_size)
    if faults:
        raise InputError([Problem(fault.member or str(archive), fault.what) for fault in faults])
    return top_folder(opened)


def _extract(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """Write a member, never more than it claims to hold, as a plain file that is not executable."""
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
        raise InputError(Problem(METADATA_JSON, "is not in the archive; this is not a MONAI bundle."))
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
