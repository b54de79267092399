"""The format of OpenSSF model-signing: what it signs is accepted here, what is signed here is accepted there."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mist_bundle.files import MANIFEST_JSON
from mist_bundle.runtime.folds.manifest import MODEL_SIGNATURE
from mist_bundle.sharing.pack import pack_bundle
from mist_bundle.sharing.unpack import unpack_bundle
from mist_bundle.trust.audit.run import audit_bundle
from mist_bundle.trust.keys import PublicKey, make_key
from mist_bundle.trust.openssf import SignatureError, signed_files
from mist_bundle.trust.signature import sign_bundle
from tests.trust.key_files import write_pair

model_signing = pytest.importorskip("model_signing", reason="OpenSSF model-signing is not installed")

Hashing = Callable[[Any], Any]


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "key", make_key(tmp_path / "key")


def program(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the program of others."""
    command = [sys.executable, "-m", "model_signing", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def others_accept(bundle: Path, public: Path) -> bool:
    """Whether the library of others accepts the signature."""
    verifying = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public)
    try:
        verifying.verify(bundle, bundle / MODEL_SIGNATURE)
    except ValueError:
        return False
    return True


def signed_by_others(bundle: Path, private: Path, change: Hashing = lambda hashing: hashing) -> None:
    """Sign with the library of others."""
    hashing = model_signing.hashing.Config().set_ignored_paths(paths=[MODEL_SIGNATURE, ".cache"])
    signing = model_signing.signing.Config().use_elliptic_key_signer(private_key=private)
    signing.set_hashing_config(change(hashing)).sign(bundle, bundle / MODEL_SIGNATURE)


def codes(bundle: Path, public: Path) -> list[tuple[str, str]]:
    return [(found.code, found.file) for found in audit_bundle(bundle, public).findings]


def test_the_program_of_others_accepts_what_is_signed_here(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    sign_bundle(own_bundle, keys[0])
    where = (own_bundle, "--signature", own_bundle / MODEL_SIGNATURE, "--public_key")
    accepted = program("verify", "key", *where, keys[1])
    assert accepted.returncode == 0, accepted.stderr
    (own_bundle / "LICENSE").write_text("mine\n")
    refused = program("verify", "key", *where, keys[1])
    assert refused.returncode == 1
    assert "LICENSE" in refused.stderr


def test_what_the_program_of_others_signs_is_accepted_here(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    where = ("--signature", own_bundle / MODEL_SIGNATURE, "--private_key")
    signed = program("sign", "key", own_bundle, *where, keys[0])
    assert signed.returncode == 0, signed.stderr
    report = audit_bundle(own_bundle, keys[1])
    assert report.passed
    assert report.signed_by == PublicKey.read(keys[1]).fingerprint
    (own_bundle / "LICENSE").write_text("mine\n")
    assert codes(own_bundle, keys[1]) == [("manifest-mismatch", "LICENSE")]


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_every_curve_goes_both_ways(curve: ec.EllipticCurve, own_bundle: Path, tmp_path: Path) -> None:
    private, public = write_pair(ec.generate_private_key(curve), tmp_path / "key")
    sign_bundle(own_bundle, private)
    here = json.loads((own_bundle / MODEL_SIGNATURE).read_text())
    assert others_accept(own_bundle, public)
    signed_by_others(own_bundle, private)
    there = json.loads((own_bundle / MODEL_SIGNATURE).read_text())
    assert audit_bundle(own_bundle, public).passed
    assert here["verificationMaterial"] == there["verificationMaterial"]
    statements = []
    for content in (here, there):
        statement = json.loads(base64.b64decode(content["dsseEnvelope"]["payload"]))
        statement["predicate"]["serialization"]["ignore_paths"].sort()
        statements.append(statement)
    assert statements[0] == statements[1]


def test_a_signed_bundle_stays_signed_through_a_zip(own_bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    sign_bundle(own_bundle, keys[0])
    packed = pack_bundle(own_bundle, tmp_path / "bundle.zip")
    assert audit_bundle(packed.file, keys[1]).passed
    unpacked = unpack_bundle(packed.file, tmp_path / "received")
    assert audit_bundle(unpacked, keys[1]).passed
    assert others_accept(unpacked, keys[1])


def test_a_file_more_or_less_is_refused_by_both(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    sign_bundle(own_bundle, keys[0])
    extra = own_bundle / "docs" / "more.md"
    extra.write_text("more\n")
    assert codes(own_bundle, keys[1]) == [("signature-unlisted", "docs/more.md")]
    assert not others_accept(own_bundle, keys[1])
    extra.unlink()
    (own_bundle / "LICENSE").unlink()
    assert codes(own_bundle, keys[1]) == [("file-missing", "LICENSE")]
    assert not others_accept(own_bundle, keys[1])


def test_a_renewed_manifest_does_not_hide_a_change(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    from mist_bundle.bundle.manifest import write_manifest

    sign_bundle(own_bundle, keys[0])
    signature = (own_bundle / MODEL_SIGNATURE).read_bytes()
    (own_bundle / "LICENSE").write_text("mine\n")
    write_manifest(own_bundle)
    assert not (own_bundle / MODEL_SIGNATURE).exists(), "a new manifest takes the old signature away"
    (own_bundle / MODEL_SIGNATURE).write_bytes(signature)
    assert codes(own_bundle, keys[1]) == [("signature-wrong", "LICENSE"), ("signature-wrong", MANIFEST_JSON)]


def test_a_signature_that_leaves_files_out_does_not_pass(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    left_out = [MODEL_SIGNATURE, "scripts", MANIFEST_JSON]
    signed_by_others(own_bundle, keys[0], lambda hashing: hashing.set_ignored_paths(paths=left_out))
    assert others_accept(own_bundle, keys[1]), "the signer said that these files do not count"
    found = codes(own_bundle, keys[1])
    assert ("signature-unlisted", MANIFEST_JSON) in found
    assert ("signature-unlisted", "scripts/__init__.py") in found


def test_hashes_of_other_kinds_are_named(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    signed_by_others(own_bundle, keys[0], lambda hashing: hashing.use_file_serialization(hashing_algorithm="blake3"))
    report = audit_bundle(own_bundle, keys[1])
    assert not report.passed
    assert "blake3 hashes of files, and only sha256" in report.findings[0].what


def _edit(path: Path, *keys: str, value: Any) -> None:
    content = json.loads(path.read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("keys_of", "value"),
    [
        (("dsseEnvelope", "payload"), base64.b64encode(b"{}").decode()),
        (("dsseEnvelope", "payload"), 3),
        (("dsseEnvelope", "signatures"), []),
        (("dsseEnvelope", "signatures"), [{"sig": "AAAA"}]),
        (("dsseEnvelope", "signatures"), [{"sig": "not base64"}]),
        (("mediaType",), "application/vnd.dev.sigstore.bundle.v9+json"),
        (("verificationMaterial",), {"certificate": {}}),
    ],
)
def test_a_signature_that_was_edited_does_not_pass(
    keys_of: tuple[str, ...], value: Any, own_bundle: Path, keys: tuple[Path, Path]
) -> None:
    sign_bundle(own_bundle, keys[0])
    _edit(own_bundle / MODEL_SIGNATURE, *keys_of, value=value)
    assert codes(own_bundle, keys[1]) == [("signature-wrong", MODEL_SIGNATURE)]


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"null", b"3", b"{" * 100_000, b"[" * 100_000])
def test_what_is_no_signature_is_told_so(content: bytes, keys: tuple[Path, Path]) -> None:
    with pytest.raises(SignatureError, match="not a signature in the format of OpenSSF"):
        signed_files(content, PublicKey.read(keys[1]))
