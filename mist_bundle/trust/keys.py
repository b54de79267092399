"""Keys to sign bundles with, and to check signatures: ECDSA on the curves P-256, P-384 and P-521, or Ed25519.

`make_key` makes a pair on P-256, which OpenSSF model-signing reads. Ed25519, the kind of keys of earlier versions,
signs the manifest alone (signature.py). Needs the package `cryptography` (`pip install 'mist-bundle[sign]'`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.files import write_text
from mist_bundle.runtime.folds.files import sha256_of_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        ECDSA,
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# the curves that OpenSSF model-signing takes, each with the hash that it demands: curve -> bits
_HASH_BITS = {"secp256r1": 256, "secp384r1": 384, "secp521r1": 512}
_KINDS = "an ECDSA key on P-256, P-384 or P-521, or an Ed25519 key; create a pair with `make_key`"
_FINGERPRINT_DIGITS = 32


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Somebody's public key."""

    key: EllipticCurvePublicKey | Ed25519PublicKey

    @classmethod
    def read(cls, path: Path) -> PublicKey:
        """From a PEM file.

        Raises:
            InputError: it holds no public key of a kind that is used here.
        """
        _require_cryptography()
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        return cls(_load(path, load_pem_public_key, "is not a public key in PEM format"))

    @property
    def is_elliptic(self) -> bool:
        """Whether it is a key of ECDSA, whose signatures others can check."""
        return _curve(self.key) is not None

    @property
    def hint(self) -> str:
        """The sha256 of the PEM text, by which a signature of model-signing names its key."""
        return sha256_of_bytes(self.pem)

    @property
    def pem(self) -> bytes:
        """The content of its file."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def fingerprint(self) -> str:
        """The first 32 hexadecimal digits of the sha256 of the PEM text; for Ed25519, of the raw key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if isinstance(self.key, Ed25519PublicKey):
            return sha256_of_bytes(self.key.public_bytes_raw())[:_FINGERPRINT_DIGITS]
        return self.hint[:_FINGERPRINT_DIGITS]

    def verifies(self, content: bytes, signature: bytes) -> bool:
        """Whether the owner of this key signed exactly this content."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            if isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, content)
            else:
                self.key.verify(signature, content, _algorithm(self.key))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key to sign with."""

    key: EllipticCurvePrivateKey | Ed25519PrivateKey

    @classmethod
    def read(cls, path: Path) -> PrivateKey:
        """From a PEM file that is not encrypted.

        Raises:
            InputError: it holds no private key of a kind that is used here.
        """
        _require_cryptography()
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        def load(content: bytes) -> Any:
            return load_pem_private_key(content, password=None)

        return cls(_load(path, load, "is not an unencrypted private key in PEM format"))

    @property
    def public(self) -> PublicKey:
        """The key that checks its signatures."""
        return PublicKey(self.key.public_key())

    def sign(self, content: bytes) -> bytes:
        """The signature of some content."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(content)
        return self.key.sign(content, _algorithm(self.key.public_key()))


def make_key(path: Path) -> Path:
    """Make a key pair: `path` (private, readable by its owner only) and `path`.pub; returns the latter.

    Raises:
        InputError: a file of that name exists.
    """
    _require_cryptography()
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    public = path.with_name(path.name + ".pub")
    problems = []
    for file in (path, public):
        if file.exists():
            problems.append(Problem(str(file), "exists already; keys are not overwritten."))
    if problems:
        raise InputError(problems)
    key = PrivateKey(ec.generate_private_key(ec.SECP256R1()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_text(public, key.public.pem.decode("ascii"))
    return public


def _load(path: Path, load: Callable[[bytes], Any], problem: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = load(path.read_bytes())
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read ({error.strerror or error}).")) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(Problem(str(path), f"{problem} ({error}).")) from error
    if _curve(key) not in _HASH_BITS and not _is_ed25519(key):
        raise InputError(Problem(str(path), f"is a key of another kind; expected {_KINDS}."))
    return key


def _is_ed25519(key: Any) -> bool:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    return isinstance(key, (Ed25519PrivateKey, Ed25519PublicKey))


def _curve(key: Any) -> str | None:
    """The curve of an ECDSA key; None for keys of other kinds."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

    return key.curve.name if isinstance(key, (EllipticCurvePrivateKey, EllipticCurvePublicKey)) else None


def _algorithm(key: EllipticCurvePublicKey) -> ECDSA:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    by_bits = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}
    return ECDSA(by_bits[_HASH_BITS[key.curve.name]])


def _require_cryptography() -> None:
    if find_spec("cryptography") is None:
        raise InputError(
            Problem("cryptography", "is not installed; signatures need it: pip install 'mist-bundle[sign]'.")
        )
