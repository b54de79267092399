"""Signatures: whose bundle it is, and that nothing in it was changed; by keys of either kind."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mist_bundle import cli
from mist_bundle.bundle.manifest import write_manifest
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED, InputError
from mist_bundle.runtime.folds.manifest import MANIFEST_SIGNATURE, MODEL_SIGNATURE, SIGNATURES
from mist_bundle.trust.audit.run import audit_bundle
from mist_bundle.trust.keys import PrivateKey, make_key
from mist_bundle.trust.signature import sign_bundle
from tests.trust.key_files import write_pair


@pytest.fixture(params=["elliptic", "ed25519"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    private = tmp_path / "key"
    if request.param == "ed25519":
        return write_pair(Ed25519PrivateKey.generate(), private)
    return private, make_key(private)


def signatures(bundle: Path) -> list[str]:
    return [name for name in SIGNATURES if (bundle / name).exists()]


def test_signed_bundle_passes_with_the_right_key_only(
    own_bundle: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = keys
    fingerprint = sign_bundle(own_bundle, private)
    report = audit_bundle(own_bundle, public)
    assert report.passed
    assert report.signed_by == fingerprint
    is_elliptic = PrivateKey.read(private).public.is_elliptic
    if is_elliptic:
        other = make_key(tmp_path / "other")
    else:
        _, other = write_pair(Ed25519PrivateKey.generate(), tmp_path / "other")
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
    assert signatures(own_bundle) == [], "a new manifest takes the old signature away"


def test_a_file_that_is_not_covered_shows(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    sign_bundle(own_bundle, keys[0])
    (own_bundle / "docs/more.md").write_text("more\n")
    assert [found.code for found in audit_bundle(own_bundle, keys[1]).findings] == ["signature-unlisted"]


def test_a_manifest_that_does_not_fit_is_not_signed(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    (own_bundle / "docs/more.md").write_text("more\n")
    with pytest.raises(InputError, match=r"docs/more\.md: is not in MANIFEST\.json"):
        sign_bundle(own_bundle, keys[0])
    assert signatures(own_bundle) == []


def test_linked_scripts_are_not_signed_and_no_signature_covers_them(
    linked_bundle: Path, keys: tuple[Path, Path]
) -> None:
    write_manifest(linked_bundle)
    with pytest.raises(InputError, match="scripts: is a link, which no signature covers"):
        sign_bundle(linked_bundle, keys[0])
    assert signatures(linked_bundle) == []


def test_a_signature_of_a_manifest_covers_no_linked_scripts(linked_bundle: Path, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    _, public = write_pair(key, tmp_path / "key")
    write_manifest(linked_bundle)
    signature = base64.b64encode(key.sign((linked_bundle / "MANIFEST.json").read_bytes()))
    (linked_bundle / MANIFEST_SIGNATURE).write_bytes(signature)
    report = audit_bundle(linked_bundle, public)
    assert [(found.code, found.file) for found in report.findings] == [("signature-unlisted", "scripts")]
    assert not report.passed


def test_the_signature_of_another_kind_is_named_and_replaced(own_bundle: Path, tmp_path: Path) -> None:
    old, old_public = write_pair(Ed25519PrivateKey.generate(), tmp_path / "old")
    new_public = make_key(tmp_path / "new")
    sign_bundle(own_bundle, old)
    report = audit_bundle(own_bundle, new_public)
    assert [(found.code, found.file) for found in report.findings] == [("signature-missing", MODEL_SIGNATURE)]
    assert MANIFEST_SIGNATURE in report.findings[0].what
    sign_bundle(own_bundle, tmp_path / "new")
    assert signatures(own_bundle) == [MODEL_SIGNATURE]
    assert audit_bundle(own_bundle, new_public).passed
    assert not audit_bundle(own_bundle, old_public).passed


def test_compiled_scripts_are_removed_and_other_strange_files_refused(own_bundle: Path, tmp_path: Path) -> None:
    public = make_key(tmp_path / "key")
    cache = own_bundle / "scripts" / "__pycache__"
    cache.mkdir()
    (cache / "values.cpython-311.pyc").write_bytes(b"")
    for name in (".DS_Store", "models/.hidden"):
        (own_bundle / name).write_text("")
    (own_bundle / ".gitignore").write_text("*.tmp\n")
    with pytest.raises(InputError, match="does not belong to the bundle") as refused:
        sign_bundle(own_bundle, tmp_path / "key")
    assert sorted(Path(problem.path).name for problem in refused.value.problems) == [".DS_Store", ".hidden"]
    assert cache.exists(), "nothing is changed where signing is refused"
    for name in (".DS_Store", "models/.hidden"):
        (own_bundle / name).unlink()
    sign_bundle(own_bundle, tmp_path / "key")
    assert not cache.exists()
    (own_bundle / ".gitignore").unlink()
    assert audit_bundle(own_bundle, public).passed


def test_weights_that_another_file_stands_for_are_not_signed(own_bundle: Path, tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    models = own_bundle / "models"
    for name in ("model.pt", "fold_0.pt"):
        (models / name).write_bytes(b"the same")
    write_manifest(own_bundle)
    (models / "fold_0.pt").unlink()
    with pytest.raises(InputError, match=r"fold_0\.pt: is not there; models/model\.pt stands for it"):
        sign_bundle(own_bundle, tmp_path / "key")


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
