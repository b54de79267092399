"""Changes of an existing bundle: complete, or refused with the bundle unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.manifest import differences, file_hashes
from mist_bundle.bundle.publish import finish_publication, publish_files, publish_weights
from mist_bundle.errors import InputError
from mist_bundle.files import BUNDLE_README, MANIFEST_JSON
from mist_bundle.runtime.folds.files import sha256_of
from tests.bundle.trained_folds import save_best


def test_files_and_manifest_change_together(own_bundle: Path) -> None:
    changed = publish_files(own_bundle, {BUNDLE_README: b"# New card\n"})
    assert changed == [BUNDLE_README]
    assert (own_bundle / BUNDLE_README).read_text() == "# New card\n"
    assert differences(own_bundle) == []


def test_weights_of_a_fold_are_published_once(own_bundle: Path) -> None:
    fold = save_best(own_bundle, 0)
    assert "models/fold_0.pt" in publish_weights(own_bundle, fold)
    assert fold.published is not None
    assert differences(own_bundle) == []
    assert publish_weights(own_bundle, fold) == []


def test_a_fold_without_training_is_named(own_bundle: Path) -> None:
    before = file_hashes(own_bundle)
    with pytest.raises(InputError, match=r"fold 1: .*holds no weights to publish"):
        publish_weights(own_bundle, Bundle(own_bundle).fold(1))
    assert file_hashes(own_bundle) == before


def test_weights_that_the_status_does_not_name_are_refused(own_bundle: Path) -> None:
    fold = save_best(own_bundle, 0)
    (fold.folder / "best.pt").write_bytes(b"other")
    with pytest.raises(InputError, match=r"best\.pt is not the file that status\.json"):
        publish_weights(own_bundle, fold)


def test_an_interrupted_publication_is_completed(own_bundle: Path) -> None:
    """The manifest announces the change; a crash follows before the new file takes its place."""
    new = b"# New card\n"
    waiting = own_bundle / "new_card.md"
    waiting.write_bytes(new)
    digest = sha256_of(waiting)
    waiting.unlink()
    manifest = json.loads((own_bundle / MANIFEST_JSON).read_text())
    manifest["pending"] = {BUNDLE_README: digest}
    (own_bundle / MANIFEST_JSON).write_text(json.dumps(manifest))
    (own_bundle / BUNDLE_README).write_bytes(new)
    finish_publication(own_bundle)
    assert "pending" not in json.loads((own_bundle / MANIFEST_JSON).read_text())
    assert differences(own_bundle) == []
