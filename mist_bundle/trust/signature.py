"""Sign a bundle, and read who signed it.

A key on an elliptic curve signs every file, in the format of OpenSSF model-signing (openssf.py), as model.sig: others
check it with `python -m model_signing verify key`. An Ed25519 key, for which that format has no place, signs the
manifest, which holds the sha256 of every file: MANIFEST.json.sig (base64, one line), the format of earlier versions.
"""

from __future__ import annotations

import base64
import binascii
import shutil
from pathlib import Path

from mist_bundle.bundle.manifest import Manifest, differences
from mist_bundle.bundle.publish import publish_files
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import BUNDLE_README, MANIFEST_JSON, ROOT_README, SCRIPTS_FOLDER, write_text
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.manifest import (
    MANIFEST_SIGNATURE,
    MODEL,
    MODEL_SIGNATURE,
    SIGNATURES,
    belongs,
    stored_as_model,
)
from mist_bundle.trust.keys import PrivateKey, PublicKey
from mist_bundle.trust.openssf import DOWNLOAD_CACHE, GIT_PATHS, SignatureError, signature_text, signed_files

CACHE = "__pycache__"


def sign_bundle(bundle: Path, key: Path) -> str:
    """Sign a bundle as it is; returns the fingerprint of the public key.

    What Python compiled beside the scripts is removed: no signature covers it, and it comes back by itself. The model
    card is put where Hugging Face reads it, as README.md, so that the signature covers that copy too.

    Args:
        bundle: its folder; model.sig is written there (MANIFEST.json.sig by an Ed25519 key), and replaces any other
            signature.
        key: PEM file of a private key, not encrypted.

    Raises:
        InputError: no manifest, a manifest that does not fit the files, files that no signature covers, or no such key.
    """
    _check_can_be_signed(bundle)
    private = PrivateKey.read(key)
    for folder in sorted(bundle.rglob(CACHE)):
        shutil.rmtree(folder)
    if (bundle / BUNDLE_README).is_file() and not (bundle / ROOT_README).exists():
        publish_files(bundle, {ROOT_README: bundle / BUNDLE_README}, renew=True)
    if private.public.is_elliptic:
        hashes = {}
        for path in _files(bundle):
            hashes[path.relative_to(bundle).as_posix()] = sha256_of(path)
        text = signature_text(bundle.absolute().name, hashes, private, MODEL_SIGNATURE)
    else:
        text = base64.b64encode(private.sign((bundle / MANIFEST_JSON).read_bytes())).decode("ascii") + "\n"
    written = signature_of(private.public)
    write_text(bundle / written, text)
    for name in SIGNATURES:
        if name != written:
            (bundle / name).unlink(missing_ok=True)
    return private.public.fingerprint


def signature_of(key: PublicKey) -> str:
    """The file that holds the signature of a key of this kind."""
    return MODEL_SIGNATURE if key.is_elliptic else MANIFEST_SIGNATURE


def signed_hashes(signature: bytes, manifest: bytes, key: PublicKey) -> dict[str, str]:
    """The sha256 of the files that a signature covers by itself; empty for a signature of the manifest.

    Args:
        signature: content of the file `signature_of(key)`.
        manifest: content of MANIFEST.json.
        key: whose signature it has to be.

    Raises:
        SignatureError: it is not the signature of this key, or cannot be read.
    """
    if key.is_elliptic:
        return signed_files(signature, key)
    try:
        raw = base64.b64decode(signature.strip(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not key.verifies(manifest, raw):
        raise SignatureError(f"The key {key.fingerprint} did not make it.")
    return {}


def _check_can_be_signed(bundle: Path) -> None:
    manifest = bundle / MANIFEST_JSON
    if not manifest.is_file():
        raise InputError(Problem(str(manifest), "is not there, so there is nothing to sign."))
    elsewhere = "Pack the bundle, unpack the zip elsewhere, and sign that folder."
    if Manifest.read(bundle).linked:
        message = f"is a link, which no signature covers. {elsewhere}"
        raise InputError(Problem(str(bundle / SCRIPTS_FOLDER), message))
    problems = []
    for name in stored_as_model(bundle):
        problems.append(Problem(str(bundle / name), f"is not there; {MODEL} stands for it. {elsewhere}"))
    for path in _files(bundle):
        name = path.relative_to(bundle).as_posix()
        if not belongs(name):
            problems.append(Problem(str(path), "does not belong to the bundle, and a signature covers all. Remove it."))
    for difference in differences(bundle):
        message = f"{difference} Renew the manifest with `finalize`."
        problems.append(Problem(str(bundle / difference.name), message))
    if problems:
        raise InputError(problems)


def _files(bundle: Path) -> list[Path]:
    """The files that a signature covers: all but signatures, those of git and downloads, and what Python compiles."""
    files = []
    for path in sorted(bundle.rglob("*")):
        parts = path.relative_to(bundle).parts
        left_out = parts[0] in (*GIT_PATHS, DOWNLOAD_CACHE, *SIGNATURES) or CACHE in parts
        if path.is_file() and not left_out:
            files.append(path)
    return files
