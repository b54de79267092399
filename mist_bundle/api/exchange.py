"""Functions for bundles that come from or go to somebody else: audit, verify, unpack, and keys to sign with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mist_bundle.api.arguments import checked
from mist_bundle.api.bundle import Bundle
from mist_bundle.api.kinds import FileName
from mist_bundle.api.paths import optional_path

if TYPE_CHECKING:
    from mist_bundle.trust.audit.finding import Report
    from mist_bundle.verify.report import Verification

# Heavy imports stand inside the functions, so that the command line answers --help at once.


@checked
def audit_bundle(bundle: FileName, public_key: FileName | None = None) -> Report:
    """Read a bundle, folder or zip, without running anything in it.

    Args:
        bundle: the bundle's folder or zip.
        public_key: file of the public key that must have signed the bundle.

    Returns:
        All findings; `passed` says whether there are none to act on.
    """
    from mist_bundle.trust.audit import run

    return run.audit_bundle(Path(bundle), optional_path(public_key))


@checked
def verify_bundle(
    bundle: FileName, *, quick: bool = False, schema: FileName | None = None, trust: bool = False
) -> Verification:
    """Check that a bundle works, and which programs can use it: read it, then run a copy on synthetic data.

    Args:
        bundle: the bundle's folder or zip.
        quick: only read, run nothing.
        schema: MONAI's JSON schema of metadata.json, if you have it; nothing is downloaded.
        trust: run a bundle that does not pass `audit`.

    Returns:
        All checks; `passed` says whether the bundle works.
    """
    from mist_bundle.verify import run

    return run.verify_bundle(Path(bundle), quick=quick, schema=optional_path(schema), trust=trust)


@checked
def unpack(archive: FileName, output: FileName = ".", *, trust: bool = False, overwrite: bool = False) -> Bundle:
    """Check a zip file with a bundle in it, and write the bundle's folder; nothing of it is executed.

    Args:
        archive: the zip file.
        output: folder in which the bundle's folder is created.
        trust: accept a bundle that does not pass the audit or has no MANIFEST.json.
        overwrite: replace an existing bundle.
    """
    from mist_bundle.sharing.unpack import unpack_bundle

    return Bundle(unpack_bundle(Path(archive), Path(output), trust=trust, overwrite=overwrite))


@checked
def make_key(path: FileName) -> Path:
    """Create a key pair to sign bundles with.

    Args:
        path: file for the private key, which stays with you; the public key goes to the same name with .pub.

    Returns:
        The file of the public key.
    """
    from mist_bundle.trust import keys

    return keys.make_key(Path(path))
