"""The manifest names every file with its hash, and knows what a repository stores once."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from mist_bundle.bundle.manifest import (
    Manifest,
    bundle_contents,
    compare,
    differences,
    file_hashes,
    fold_files,
    write_manifest,
)
from mist_bundle.errors import InputError


def test_hashes_are_sha256_of_all_files(fresh_bundle: Path) -> None:
    manifest = json.loads((fresh_bundle / "MANIFEST.json").read_text())
    content = (fresh_bundle / "configs/train.json").read_bytes()
    assert manifest["files"]["configs/train.json"] == hashlib.sha256(content).hexdigest()
    assert manifest["files"] == file_hashes(fresh_bundle)
    assert manifest.keys() == {"algorithm", "files"}


def test_a_change_shows(own_bundle: Path) -> None:
    before = file_hashes(own_bundle)
    (own_bundle / "configs/train.json").write_text("{}")
    (own_bundle / "models/model.pt").write_bytes(b"weights")
    after = file_hashes(own_bundle)
    assert {name for name in after if before.get(name) != after[name]} == {"configs/train.json", "models/model.pt"}
    assert [(one.name, one.kind) for one in differences(own_bundle)] == [
        ("configs/train.json", "changed"),
        ("models/model.pt", "unlisted"),
    ]
    write_manifest(own_bundle)
    assert file_hashes(own_bundle) == after, "the manifest does not list itself"
    assert differences(own_bundle) == []


def test_each_difference_says_what_it_is() -> None:
    accepted = {"gone": {"1"}, "same": {"2"}, "other": {"3"}, "brought": {None, "6"}, "old or new": {"7", "8"}}
    found = compare(accepted, {"same": "2", "other": "4", "new": "5", "old or new": "9"})
    assert [str(one) for one in found] == [
        "is missing; MANIFEST.json lists it.",
        "is not in MANIFEST.json.",
        "was changed: its sha256 is 9, MANIFEST.json says 7 or 8.",
        "was changed: its sha256 is 4, MANIFEST.json says 3.",
    ]


def test_the_manifest_of_linked_scripts_survives_a_change_of_the_runtime(linked_bundle: Path) -> None:
    write_manifest(linked_bundle)
    before = (linked_bundle / "MANIFEST.json").read_text()
    assert not any(name.startswith("scripts/") for name in json.loads(before)["files"])
    assert differences(linked_bundle) == []
    (linked_bundle.parent.parent / "mist_bundle/runtime/losses/dice.py").write_text("# changed\n")
    write_manifest(linked_bundle)
    assert (linked_bundle / "MANIFEST.json").read_text() == before
    # and yet nobody takes other scripts for those of this version
    assert [(one.name, one.kind) for one in differences(linked_bundle)] == [("scripts/losses/dice.py", "changed")]


def test_copies_that_follow_the_link_still_fit(linked_bundle: Path, tmp_path: Path) -> None:
    write_manifest(linked_bundle)
    copy = shutil.copytree(linked_bundle, tmp_path / "elsewhere/copy")
    assert not (copy / "scripts").is_symlink()
    assert differences(copy) == []


def test_model_pt_stands_for_the_fold_that_it_is_a_copy_of(own_bundle: Path) -> None:
    for name, content in (("model.pt", b"a"), ("fold_0.pt", b"a"), ("fold_1.pt", b"b")):
        (own_bundle / "models" / name).write_bytes(content)
    write_manifest(own_bundle)
    (own_bundle / "models/fold_0.pt").unlink()
    assert differences(own_bundle) == []
    assert bundle_contents(own_bundle)["models/fold_0.pt"] == own_bundle / "models/model.pt"
    assert fold_files(own_bundle) == [own_bundle / "models/model.pt", own_bundle / "models/fold_1.pt"]
    write_manifest(own_bundle)
    assert "models/fold_0.pt" in Manifest.read(own_bundle).files, "the fold is not forgotten"
    # other weights, so no longer a copy of that fold
    (own_bundle / "models/model.pt").write_bytes(b"c")
    kinds = {(one.name, one.kind) for one in differences(own_bundle)}
    assert kinds == {("models/model.pt", "changed"), ("models/fold_0.pt", "missing")}
    # and no other file stands in for one that is gone
    (own_bundle / "models/fold_1.pt").unlink()
    assert ("models/fold_1.pt", "missing") in {(one.name, one.kind) for one in differences(own_bundle)}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"algorithm": "sha256", "files": {"a": 1}}', "[" * 100_000])
def test_what_is_no_manifest(text: str) -> None:
    with pytest.raises(InputError, match=r"MANIFEST\.json: is not"):
        Manifest.parse(text.encode())
