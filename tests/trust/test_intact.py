"""What does not fit the manifest is named, all at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mist_bundle.errors import InputError
from mist_bundle.trust.intact import check_manifest


def test_fresh_bundle_fits(fresh_bundle: Path) -> None:
    check_manifest(fresh_bundle)


def test_missing_added_and_changed(own_bundle: Path) -> None:
    (own_bundle / "docs/README.md").unlink()
    (own_bundle / "LICENSE").write_text("mine")
    (own_bundle / "models/fold_0.pt").write_bytes(b"x")
    (own_bundle / "MANIFEST.json.sig").write_text("a signature is not listed")
    with pytest.raises(InputError) as refused:
        check_manifest(own_bundle)
    assert [problem.path for problem in refused.value.problems] == ["LICENSE", "docs/README.md", "models/fold_0.pt"]
    with pytest.raises(InputError) as refused:
        check_manifest(own_bundle, absent=["docs/README.md"])
    assert [problem.path for problem in refused.value.problems] == ["LICENSE", "models/fold_0.pt"]


@pytest.mark.parametrize("content", [[], {}, {"algorithm": "md5", "files": {}}, {"algorithm": "sha256", "files": []}])
def test_other_json_is_no_manifest(own_bundle: Path, content: object) -> None:
    (own_bundle / "MANIFEST.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="is not a manifest"):
        check_manifest(own_bundle)
