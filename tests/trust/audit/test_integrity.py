"""Files against the manifest, as the audit reports it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from mist_bundle.bundle.manifest import write_manifest
from mist_bundle.trust.audit.bundle_files import open_bundle
from mist_bundle.trust.audit.integrity import check_manifest


def _codes(bundle: Path) -> dict[str, str]:
    return {found.file: found.code for found in check_manifest(open_bundle(bundle), Counter(), None)}


def test_a_bundle_that_fits_has_no_findings(own_bundle: Path) -> None:
    checked: Counter[str] = Counter()
    assert not list(check_manifest(open_bundle(own_bundle), checked, None))
    assert checked["hashes"] == len(json.loads((own_bundle / "MANIFEST.json").read_text())["files"])


def test_each_difference_has_its_rule(own_bundle: Path) -> None:
    (own_bundle / "models/model.pt").write_bytes(b"weights")
    write_manifest(own_bundle)
    (own_bundle / "models/model.pt").write_bytes(b"others")
    (own_bundle / "configs/train.json").write_text("{}")
    (own_bundle / "docs/README.md").unlink()
    (own_bundle / "docs/more.md").write_text("x")
    assert _codes(own_bundle) == {
        "models/model.pt": "manifest-mismatch",
        "configs/train.json": "manifest-edited",
        "docs/README.md": "file-missing",
        "docs/more.md": "manifest-unlisted",
    }


def test_weights_that_are_downloaded_or_stored_once_are_not_missing(own_bundle: Path) -> None:
    for name in ("model.pt", "fold_0.pt", "fold_1.pt"):
        (own_bundle / "models" / name).write_bytes(b"other" if name == "fold_1.pt" else b"weights")
    write_manifest(own_bundle)
    digest = json.loads((own_bundle / "MANIFEST.json").read_text())["files"]["models/fold_1.pt"]
    (own_bundle / "models/fold_0.pt").unlink()
    assert _codes(own_bundle) == {}
    (own_bundle / "models/fold_1.pt").unlink()
    assert _codes(own_bundle) == {"models/fold_1.pt": "file-missing"}
    entry = f"{{path: models/fold_1.pt, url: 'https://x.org/f', hash_val: '{digest}', hash_type: sha256}}"
    (own_bundle / "large_files.yml").write_text(f"large_files: [{entry}]\n")
    assert _codes(own_bundle)["models/fold_1.pt"] == "file-elsewhere"


def test_without_a_manifest_or_with_a_broken_one(own_bundle: Path) -> None:
    (own_bundle / "MANIFEST.json").write_text("[]")
    assert _codes(own_bundle) == {"MANIFEST.json": "manifest-broken"}
    (own_bundle / "MANIFEST.json").unlink()
    assert _codes(own_bundle) == {"MANIFEST.json": "manifest-missing"}
