"""Keys: their kinds, and that private ones stay private."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mist_bundle.errors import InputError
from mist_bundle.trust.keys import PrivateKey, PublicKey, make_key
from tests.trust.key_files import write_pair


def test_keys_are_private_and_never_overwritten(tmp_path: Path) -> None:
    public = make_key(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(InputError, match="not overwritten") as refused:
        make_key(tmp_path / "key")
    assert len(refused.value.problems) == 2
    assert (tmp_path / "key").read_bytes() == before
    assert PublicKey.read(public).fingerprint == PrivateKey.read(tmp_path / "key").public.fingerprint


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), None])
def test_a_signature_holds_for_its_key_and_content_only(curve: ec.EllipticCurve | None, tmp_path: Path) -> None:
    pair = ed25519.Ed25519PrivateKey.generate() if curve is None else ec.generate_private_key(curve)
    private, public = write_pair(pair, tmp_path / "key")
    other = PublicKey.read(make_key(tmp_path / "other"))
    signature = PrivateKey.read(private).sign(b"content")
    assert PublicKey.read(public).verifies(b"content", signature)
    assert not PublicKey.read(public).verifies(b"other content", signature)
    assert not PublicKey.read(public).verifies(b"content", signature[:-1])
    assert not other.verifies(b"content", signature)


@pytest.mark.parametrize("kind", ["rsa", "secp256k1", "encrypted", "text", "absent"])
def test_other_keys_are_refused_with_what_is_expected(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    if kind == "rsa":
        write_pair(rsa.generate_private_key(65537, 2048), path)
    elif kind == "secp256k1":
        write_pair(ec.generate_private_key(ec.SECP256K1()), path)
    elif kind == "encrypted":
        from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

        key = ec.generate_private_key(ec.SECP256R1())
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    elif kind == "text":
        path.write_text("my key\n")
    expected = {
        "rsa": r"expected an ECDSA key on P-256, P-384 or P-521, or an Ed25519 key",
        "secp256k1": r"expected an ECDSA key on P-256",
        "encrypted": "is not an unencrypted private key",
        "text": "is not an unencrypted private key",
        "absent": "cannot be read",
    }
    with pytest.raises(InputError, match=expected[kind]):
        PrivateKey.read(path)
    if kind in ("rsa", "secp256k1"):
        with pytest.raises(InputError, match=expected[kind]):
            PublicKey.read(tmp_path / "key.pub")


def test_the_fingerprint_is_that_of_the_file(tmp_path: Path) -> None:
    import hashlib

    public = make_key(tmp_path / "key")
    assert PublicKey.read(public).fingerprint == hashlib.sha256(public.read_bytes()).hexdigest()[:32]
    ed = ed25519.Ed25519PrivateKey.generate()
    raw = ed.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    _, public = write_pair(ed, tmp_path / "ed")
    assert PublicKey.read(public).fingerprint == hashlib.sha256(raw).hexdigest()[:32]
    assert ed.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()) not in public.read_bytes()
