"""What counts in a manifest, what a file may be while a publication is under way, and what is stored once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from mist_bundle.runtime.folds.manifest import (
    accepted_hashes,
    counts_in_manifest,
    file_hashes,
    read_manifest,
    stored_as_model,
    write_manifest_content,
)


@pytest.mark.parametrize("name", ["configs/train.json", "models/model.pt", "scripts/losses/dice.py", "LICENSE"])
def test_files_of_a_bundle_count(name: str) -> None:
    assert counts_in_manifest(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "MANIFEST.json",
            "MANIFEST.json.sig",
            "scripts/__pycache__/a.pyc",
            ".git/config",
            "models/.model.pt.x.partial",
        ),
        *("eval/schema.json", "docs/Thumbs.db", "models/x.partial"),
    ],
)
def test_caches_hidden_and_unfinished_files_do_not(name: str) -> None:
    assert not counts_in_manifest(name)


def test_a_manifest_comes_back(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"1")
    (tmp_path / "a").write_bytes(b"2")
    write_manifest_content(tmp_path, file_hashes(tmp_path), {"c": None})
    text = (tmp_path / "MANIFEST.json").read_text()
    expected = {"a": hashlib.sha256(b"2").hexdigest(), "b": hashlib.sha256(b"1").hexdigest()}
    assert json.loads(text) == {"algorithm": "sha256", "files": expected, "pending": {"c": None}}
    assert text.index('"a"') < text.index('"b"')
    assert read_manifest(tmp_path) == json.loads(text)


def test_linked_scripts_are_mentioned(tmp_path: Path) -> None:
    (tmp_path / "scripts").symlink_to("../../mist_bundle/runtime")
    write_manifest_content(tmp_path, {}, None)
    assert json.loads((tmp_path / "MANIFEST.json").read_text())["linked"] == {"scripts": "../../mist_bundle/runtime"}


def test_old_and_new_are_accepted_while_a_publication_is_under_way() -> None:
    manifest = {
        "files": {"kept": "1", "replaced": "2", "goes": "3"},
        "pending": {"replaced": "4", "goes": None, "new": "5"},
    }
    assert accepted_hashes(manifest) == {
        "kept": {"1"},
        "replaced": {"2", "4"},
        "goes": {"3", None},
        "new": {None, "5"},
    }


@pytest.mark.parametrize("text", ["{", "[]", '{"files": []}'])
def test_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    assert read_manifest(tmp_path) is None
    (tmp_path / "MANIFEST.json").write_text(text)
    assert read_manifest(tmp_path) is None
    assert stored_as_model(tmp_path) == []
