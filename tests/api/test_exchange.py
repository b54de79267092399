"""Bundles that come from or go to somebody else."""

from __future__ import annotations

from pathlib import Path

import pytest

import mist_bundle as mb
from mist_bundle.verify.report import FAIL


def test_a_bundle_travels_signed(own_bundle: Path, tmp_path: Path) -> None:
    public_key = mb.make_key(str(tmp_path / "key"))
    bundle = mb.Bundle(own_bundle)
    bundle.sign(tmp_path / "key")
    packed = bundle.pack(str(tmp_path / "bundle.zip"))
    assert mb.audit_bundle(packed.file, public_key).passed
    received = mb.unpack(packed.file, tmp_path / "received")
    assert received.audit(str(public_key)).passed
    verification = mb.verify_bundle(received.root, quick=True)
    failed = [check.reason for check in verification.checks if check.verdict == FAIL]
    assert len(failed) == 1
    assert "models/" in failed[0], "it was not trained yet"
    other_key = mb.make_key(tmp_path / "other")
    assert not received.audit(other_key).passed


def test_a_zip_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_bytes(b"PK nothing")
    with pytest.raises(mb.InputError, match=r"bundle\.zip"):
        mb.unpack(tmp_path / "bundle.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()
