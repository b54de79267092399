"""What belongs to a bundle: plain files, and the runtime that a bundle of the repository links to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mist_bundle.bundle.contents import plain_files
from mist_bundle.bundle.vendor import RUNTIME, link_runtime, runtime_files
from mist_bundle.errors import InputError


def test_caches_and_hidden_files_do_not_belong(own_bundle: Path) -> None:
    before = plain_files(own_bundle)
    for extra in ("scripts/__pycache__/x.pyc", ".git/config", "eval/schema.json", "configs/.train.json.swp"):
        (own_bundle / extra).parent.mkdir(parents=True, exist_ok=True)
        (own_bundle / extra).write_bytes(b"left out")
    assert plain_files(own_bundle) == before
    assert before["configs/train.json"] == own_bundle / "configs/train.json"


def test_linked_scripts_are_the_files_of_the_runtime(linked_bundle: Path) -> None:
    files = plain_files(linked_bundle)
    scripts = {name.removeprefix("scripts/"): path for name, path in files.items() if name.startswith("scripts/")}
    assert list(scripts) == [file.as_posix() for file in runtime_files()]
    assert all(path.read_bytes() == (RUNTIME / name).read_bytes() for name, path in scripts.items())
    assert not any(path.is_symlink() for path in files.values())


def test_every_other_link_is_named(linked_bundle: Path) -> None:
    runtime = linked_bundle.parent.parent / "mist_bundle/runtime"
    (linked_bundle / "models/model.pt").symlink_to("../LICENSE")
    (linked_bundle / "docs/more").symlink_to(linked_bundle.parent, target_is_directory=True)
    (runtime / "losses/own.py").symlink_to("/etc/passwd")
    with pytest.raises(InputError) as refused:
        plain_files(linked_bundle)
    assert {Path(problem.path).name for problem in refused.value.problems} == {"model.pt", "more", "own.py"}


def test_a_link_that_leads_nowhere_is_refused(linked_bundle: Path) -> None:
    shutil.rmtree(linked_bundle.parent.parent / "mist_bundle")
    with pytest.raises(InputError, match="scripts: is a link"):
        plain_files(linked_bundle)
    link_runtime(linked_bundle)
    assert (linked_bundle / "scripts").is_symlink()
