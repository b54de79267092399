"""Sign a bundle's manifest, and check the signature: Ed25519, detached, in MANIFEST.json.sig (base64, one line).

The manifest holds the sha256 of every file, so its signature covers the bundle. Needs the package `cryptography`
(`pip install 'mist-bundle[sign]'`); nothing else does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mist_bundle.errors import InputError, Problem
from mist_bundle.files import MANIFEST_JSON, SCRIPTS_FOLDER, SIGNATURE, write_bytes, write_text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Somebody's public key."""

    key: Ed25519PublicKey

    @classmethod
    def read(cls, path: Path) -> PublicKey:
        """From a PEM file.

        Raises:
            InputError: it holds no Ed25519 public key.
        """
        _require_cryptography()
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key = load_pem_public_key(_read(path))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InputError(Problem(str(path), f"is no public key in PEM format ({error}).")) from error
        if not isinstance(key, Ed25519PublicKey):
            raise InputError(Problem(str(path), "is not an Ed25519 key; create a pair with `make_key`."))
        return cls(key)

    @property
    def fingerprint(self) -> str:
        """The first 32 hexadecimal digits of the sha256 of the raw key."""
        return hashlib.sha256(self.key.public_bytes_raw()).hexdigest()[:32]

    def verifies(self, content: bytes, signature: bytes) -> bool:
        """Whether the owner of this key signed exactly this content."""
        from cryptography.exceptions import InvalidSignature

        try:
            self.key.verify(base64.b64decode(signature.strip(), validate=True), content)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def sign_bundle(bundle: Path, key: Path) -> str:
    """Sign a bundle's manifest as it is; returns the fingerprint of the public key.

    Args:
        bundle: its folder; MANIFEST.json.sig is written there.
        key: PEM file of an Ed25519 private key, not encrypted.

    Raises:
        InputError: no manifest, a manifest that does not fit the files, or no such key.
    """
    from mist_bundle.bundle.manifest import Manifest, differences

    manifest = bundle / MANIFEST_JSON
    if not manifest.is_file():
        raise InputError(Problem(str(manifest), "is not there, so there is nothing to sign."))
    if Manifest.read(bundle).linked:
        message = (
            "is a link, which no signature covers. Pack the bundle, unpack the zip elsewhere, and sign that folder."
        )
        raise InputError(Problem(str(bundle / SCRIPTS_FOLDER), message))
    stale = []
    for difference in differences(bundle):
        stale.append(Problem(str(bundle / difference.name), f"{difference} Renew the manifest with `finalize`."))
    if stale:
        raise InputError(stale)
    private = _read_private(key)
    write_bytes(bundle / SIGNATURE, base64.b64encode(private.sign(manifest.read_bytes())) + b"\n")
    return PublicKey(private.public_key()).fingerprint


def make_key(path: Path) -> Path:
    """Make a key pair: `path` (private, readable by its owner only) and `path`.pub; returns the latter.

    Raises:
        InputError: a file of that name exists.
    """
    _require_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = path.with_name(path.name + ".pub")
    problems = []
    for file in (path, public):
        if file.exists():
            problems.append(Problem(str(file), "exists already; keys are not overwritten."))
    if problems:
        raise InputError(problems)
    key = Ed25519PrivateKey.generate()
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(private_pem)
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    write_text(public, key.public_key().public_bytes(encoding, form).decode("ascii"))
    return public


def _read_private(path: Path) -> Ed25519PrivateKey:
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(Problem(str(path), f"is no unencrypted private key in PEM format ({error}).")) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(Problem(str(path), "is not an Ed25519 key; create a pair with `make_key`."))
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read ({error.strerror or error}).")) from error


def _require_cryptography() -> None:
    from importlib.util import find_spec

    if find_spec("cryptography") is None:
        raise InputError(
            Problem("cryptography", "is not installed; signatures need it: pip install 'mist-bundle[sign]'.")
        )
