"""The manifest names every file with its hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mist_bundle.bundle.manifest import file_hashes, write_manifest


def test_hashes_are_sha256_of_all_files(fresh_bundle: Path) -> None:
    manifest = json.loads((fresh_bundle / "MANIFEST.json").read_text())
    content = (fresh_bundle / "configs/train.json").read_bytes()
    assert manifest["files"]["configs/train.json"] == hashlib.sha256(content).hexdigest()
    assert manifest["files"] == file_hashes(fresh_bundle)


def test_a_change_shows(own_bundle: Path) -> None:
    before = file_hashes(own_bundle)
    (own_bundle / "configs/train.json").write_text("{}")
    (own_bundle / "models/model.pt").write_bytes(b"weights")
    after = file_hashes(own_bundle)
    assert {name for name in after if before.get(name) != after[name]} == {"configs/train.json", "models/model.pt"}
    write_manifest(own_bundle)
    assert file_hashes(own_bundle) == after, "the manifest does not list itself"
