"""Signatures: whose bundle it is, and that nothing in it was changed."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mist_bundle import cli
from mist_bundle.bundle.manifest import write_manifest
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED, InputError
from mist_bundle.files import SIGNATURE
from mist_bundle.trust.audit.run import audit_bundle
from mist_bundle.trust.signature import make_key, sign_bundle


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    private = tmp_path / "key"
    return private, make_key(private)


def test_signed_bundle_passes_with_the_right_key_only(
    own_bundle: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = keys
    fingerprint = sign_bundle(own_bundle, private)
    report = audit_bundle(own_bundle, public)
    assert report.passed
    assert report.signed_by == fingerprint
    other = make_key(tmp_path / "other")
    report = audit_bundle(own_bundle, other)
    assert [found.code for found in report.findings] == ["signature-wrong"]
    assert report.signed_by == ""


def test_without_a_key_the_signature_is_only_mentioned(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    sign_bundle(own_bundle, keys[0])
    report = audit_bundle(own_bundle)
    assert report.passed
    assert [found.code for found in report.findings] == ["signature-unchecked"]


def test_with_a_key_an_unsigned_bundle_does_not_pass(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    report = audit_bundle(own_bundle, keys[1])
    assert [found.code for found in report.findings] == ["signature-missing"]
    assert not report.passed


def test_any_change_after_signing_shows(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    sign_bundle(own_bundle, keys[0])
    card = own_bundle / "docs/README.md"
    card.write_text(card.read_text() + "better than all others\n")
    report = audit_bundle(own_bundle, keys[1])
    assert [(found.code, found.file) for found in report.findings] == [("manifest-mismatch", "docs/README.md")]
    assert not report.passed
    write_manifest(own_bundle)
    assert not (own_bundle / SIGNATURE).exists(), "a new manifest takes the old signature away"


def test_a_file_that_is_not_covered_shows(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    sign_bundle(own_bundle, keys[0])
    (own_bundle / "docs/more.md").write_text("more\n")
    assert [found.code for found in audit_bundle(own_bundle, keys[1]).findings] == ["signature-unlisted"]


def test_a_manifest_that_does_not_fit_is_not_signed(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    (own_bundle / "docs/more.md").write_text("more\n")
    with pytest.raises(InputError, match=r"docs/more\.md: is not in MANIFEST\.json"):
        sign_bundle(own_bundle, keys[0])
    assert not (own_bundle / SIGNATURE).exists()


def test_linked_scripts_are_not_signed_and_no_signature_covers_them(
    linked_bundle: Path, keys: tuple[Path, Path]
) -> None:
    write_manifest(linked_bundle)
    with pytest.raises(InputError, match="scripts: is a link, which no signature covers"):
        sign_bundle(linked_bundle, keys[0])
    assert not (linked_bundle / SIGNATURE).exists()
    # a signature over such a manifest that was made in another way covers no script
    private = load_pem_private_key(keys[0].read_bytes(), password=None)
    assert isinstance(private, Ed25519PrivateKey)
    signature = base64.b64encode(private.sign((linked_bundle / "MANIFEST.json").read_bytes()))
    (linked_bundle / SIGNATURE).write_bytes(signature)
    report = audit_bundle(linked_bundle, keys[1])
    assert [(found.code, found.file) for found in report.findings] == [("signature-unlisted", "scripts")]
    assert not report.passed


def test_keys_are_private_and_never_overwritten(keys: tuple[Path, Path]) -> None:
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    before = keys[0].read_bytes()
    with pytest.raises(InputError, match="not overwritten"):
        make_key(keys[0])
    assert keys[0].read_bytes() == before


def test_command_line(own_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "mine"
    assert cli.main(["make_key", str(key)]) == EXIT_OK
    assert cli.main(["sign", str(own_bundle), "--key", str(key)]) == EXIT_OK
    capsys.readouterr()
    assert cli.main(["audit", str(own_bundle), "--public_key", f"{key}.pub"]) == EXIT_OK
    assert "signed with the key" in capsys.readouterr().out
    assert cli.main(["audit", str(own_bundle), "--public_key", str(key)]) == EXIT_INPUT_REFUSED
    (own_bundle / "LICENSE").write_text("mine\n")
    assert cli.main(["audit", str(own_bundle), "--public_key", f"{key}.pub"]) == EXIT_SOME_CASES_FAILED
