"""A publication happens as a whole or not at all, whenever it is killed; every state in between is a valid bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle.runtime.folds import files as files_module
from mist_bundle.runtime.folds import publication
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.locks import Lock
from mist_bundle.runtime.folds.manifest import (
    accepted_hashes,
    file_hashes,
    read_manifest,
    stored_as_model,
    write_manifest_content,
)
from mist_bundle.runtime.folds.publication import PublicationError, finish, publish, published_name, written_name

OLD = {
    "models/fold_0.pt": b"old fold",
    "models/model.safetensors": b"old tensors",
    "docs/README.md": b"old card",
    "configs/metadata.json": b"{}",
    "configs/train.json": b"{}",
}
NEW: dict[str, bytes | None] = {
    "models/fold_0.pt": b"new fold",
    "models/fold_1.pt": b"another",
    "models/model.safetensors": None,
    "docs/README.md": b"new card",
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    root = tmp_path / "toy"
    for name, content in OLD.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    write_manifest_content(root, file_hashes(root), None)
    (root / "MANIFEST.json.sig").write_text("signature")
    return root


def _content(bundle: Path) -> dict[str, bytes]:
    names = file_hashes(bundle)
    return {name: (bundle / name).read_bytes() for name in names}


def _is_listed(bundle: Path) -> bool:
    """What every audit does: each file is one that the manifest accepts, and none that has to be there is missing."""
    manifest = read_manifest(bundle)
    assert manifest is not None
    accepted, found = accepted_hashes(manifest), file_hashes(bundle)
    present = all(digest in accepted.get(name, set()) for name, digest in found.items())
    return present and all(name in found or None in hashes for name, hashes in accepted.items())


def _expected() -> dict[str, bytes]:
    after = {**OLD, **NEW}
    return {name: content for name, content in after.items() if content is not None}


def test_files_and_manifest_change_together(bundle: Path) -> None:
    changed = publish(bundle, NEW)
    assert changed == sorted(NEW)
    assert _content(bundle) == _expected()
    assert _is_listed(bundle)
    manifest = read_manifest(bundle)
    assert manifest is not None
    assert set(manifest) == {"algorithm", "files"}
    assert not (bundle / "MANIFEST.json.sig").exists()
    assert not list(bundle.rglob("*.partial"))


def test_what_is_there_already_is_not_written_again(bundle: Path) -> None:
    publish(bundle, NEW)
    before = (bundle / "MANIFEST.json").stat().st_mtime_ns
    assert publish(bundle, NEW) == []
    assert (bundle / "MANIFEST.json").stat().st_mtime_ns == before


KILLED = """
import os, sys
from pathlib import Path
import mist_bundle.runtime.folds.files as files
import mist_bundle.runtime.folds.publication as publication
steps = int(sys.argv[2])
def counted(function):
    def call(*arguments, **more):
        global steps
        if steps == 0:
            os.kill(os.getpid(), 9)
        steps -= 1
        return function(*arguments, **more)
    return call
for name in ('replace', 'open', 'fsync', 'unlink', 'ftruncate', 'close'):
    setattr(os, name, counted(getattr(os, name)))
Path.unlink = counted(Path.unlink)
new = {'models/fold_0.pt': b'new fold', 'models/fold_1.pt': b'another', 'models/model.safetensors': None,
       'docs/README.md': b'new card'}
publication.publish(Path(sys.argv[1]), new)
print('survived')
"""


def _publish_killed_after(bundle: Path, steps: int) -> bool:
    words = [sys.executable, "-c", KILLED, str(bundle), str(steps)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == 0


def test_killed_at_every_step_it_is_old_or_new_and_never_refused(bundle: Path, tmp_path: Path) -> None:
    seen = set()
    for steps in range(200):
        copy = tmp_path / f"killed_{steps}"
        shutil.copytree(bundle, copy)
        survived = _publish_killed_after(copy, steps)
        assert _is_listed(copy), f"killed at step {steps}"
        finish(copy)
        assert _is_listed(copy)
        content = _content(copy)
        assert content in (OLD, _expected()), f"killed at step {steps}"
        seen.add(content == OLD)
        publish(copy, NEW)
        assert _content(copy) == _expected()
        assert not list(copy.rglob("*.partial"))
        if survived:
            break
    else:
        pytest.fail("it never ends")
    assert seen == {True, False}, "killed before the publication happened, and after"


def test_a_full_disk_leaves_everything_as_it_was(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 10_000
    code = (
        "import resource, sys, signal\n"
        "from pathlib import Path\n"
        "from mist_bundle.runtime.folds.publication import publish\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "publish(Path(sys.argv[1]), {'docs/README.md': b'new card', 'models/fold_0.pt': b'x' * 20_000})\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert _content(bundle) == OLD
    assert _is_listed(bundle)
    assert not finish(bundle)


def test_a_lost_staged_file_is_named(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest is not None
    write_manifest_content(bundle, manifest["files"], {"models/fold_0.pt": "0" * 64})
    assert _is_listed(bundle)
    with pytest.raises(PublicationError, match=r"fold_0\.pt: the publication of this file was interrupted"):
        finish(bundle)


@pytest.mark.parametrize(
    "name", ["../evil", "models/../../evil", "configs/train.json", "scripts/x.py", "/etc/x", "models/", "models/..", 3]
)
def test_nothing_else_is_written_whatever_a_manifest_says(bundle: Path, name: object) -> None:
    content = json.loads((bundle / "MANIFEST.json").read_text())
    content["pending"] = {name if isinstance(name, str) else "models/x": "0" * 64}
    if not isinstance(name, str):
        content["pending"] = [name]
    (bundle / "MANIFEST.json").write_text(json.dumps(content))
    with pytest.raises(PublicationError, match="not a publication of this package"):
        finish(bundle)
    if isinstance(name, str):
        with pytest.raises(PublicationError, match="cannot be published"):
            publish(bundle, {name: b""})


def test_a_second_publication_waits_for_the_first(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publication, "WAIT_SECONDS", 0.2)
    lock = Lock(bundle / publication.LOCK)
    lock.acquire()
    with pytest.raises(PublicationError, match=rf"is being published to by process {os.getpid()} on "):
        publish(bundle, NEW)
    lock.release(remove=True)
    assert publish(bundle, NEW)


def test_without_a_manifest_the_files_are_replaced(bundle: Path) -> None:
    (bundle / "MANIFEST.json").unlink()
    publish(bundle, NEW)
    assert _content(bundle) == _expected()


def test_renewing_lists_what_was_edited_and_added(bundle: Path) -> None:
    (bundle / "configs/train.json").write_text('{"epochs": 3}')
    (bundle / "docs/results.csv").write_text("id\n")
    assert publish(bundle, {}, renew=True) == []
    assert _is_listed(bundle)
    assert "docs/results.csv" in (read_manifest(bundle) or {})["files"]


def test_staged_names_are_known() -> None:
    assert published_name("models/.fold_0.pt.staged.partial") == "models/fold_0.pt"
    assert written_name("models/..fold_0.pt.staged.partial.a_b3c4d5.partial") == "models/fold_0.pt"
    assert written_name("models/.model.pt.a_b3c4d5.partial") == "models/model.pt"
    assert written_name("models/.fold_0.pt.staged.partial") == "models/fold_0.pt"
    assert published_name("models/fold_0.pt") == "models/fold_0.pt"
    assert files_module.UNFINISHED == ".partial"
    assert sha256_of(Path(__file__)) == file_hashes(Path(__file__).parent)[Path(__file__).name]


def _with_a_fold_stored_once(bundle: Path) -> None:
    (bundle / "models/model.pt").write_bytes(OLD["models/fold_0.pt"])
    write_manifest_content(bundle, file_hashes(bundle), None)
    (bundle / "models/fold_0.pt").unlink()


def test_renewing_keeps_the_fold_that_is_stored_as_model_pt(bundle: Path) -> None:
    _with_a_fold_stored_once(bundle)
    publish(bundle, {"docs/README.md": b"new card"}, renew=True)
    manifest = read_manifest(bundle)
    assert manifest is not None
    assert manifest["files"]["models/fold_0.pt"] == manifest["files"]["models/model.pt"]
    assert stored_as_model(bundle) == ["models/fold_0.pt"]


def test_other_weights_in_model_pt_do_not_lose_the_fold_it_stood_for(bundle: Path) -> None:
    _with_a_fold_stored_once(bundle)
    publish(bundle, {"models/fold_1.pt": b"another", "models/model.pt": b"another"})
    assert (bundle / "models/fold_0.pt").read_bytes() == OLD["models/fold_0.pt"]
    assert (bundle / "models/model.pt").read_bytes() == b"another"
    assert _is_listed(bundle)


def test_the_copy_of_the_card_follows_it(bundle: Path) -> None:
    for name in ("docs/README.md", "README.md"):
        (bundle / name).parent.mkdir(exist_ok=True)
        (bundle / name).write_text("card")
    write_manifest_content(bundle, file_hashes(bundle), None)
    publish(bundle, {"docs/README.md": b"results"})
    assert (bundle / "README.md").read_bytes() == b"results"
    (bundle / "docs/README.md").write_text("edited")  # by hand, and listed afterwards
    publish(bundle, {"configs/metadata.json": b"{}"}, renew=True)
    assert (bundle / "README.md").read_text() == "edited"
    (bundle / "README.md").write_text("my own")
    publish(bundle, {"docs/README.md": b"more results"}, renew=True)
    assert (bundle / "README.md").read_text() == "my own"
    manifest = read_manifest(bundle)
    assert manifest is not None
    assert manifest["files"] == file_hashes(bundle)
