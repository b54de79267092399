"""scripts/ is runtime/, byte for byte, or a link to it where the bundle lies beside the package."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mist_bundle.bundle.vendor import RUNTIME, is_own_runtime, linked_runtime, runtime_files, runtime_hashes


def test_scripts_are_the_runtime(fresh_bundle: Path) -> None:
    files = runtime_files()
    assert len(files) > 30
    copied = sorted(path.relative_to(fresh_bundle / "scripts") for path in (fresh_bundle / "scripts").rglob("*.py"))
    assert copied == files
    for file in files:
        assert (fresh_bundle / "scripts" / file).read_bytes() == (RUNTIME / file).read_bytes()
    assert runtime_hashes()["__init__.py"] == hashlib.sha256((RUNTIME / "__init__.py").read_bytes()).hexdigest()


def test_only_the_relative_link_to_a_package_beside_the_bundle_counts(linked_bundle: Path, fresh_bundle: Path) -> None:
    runtime = linked_bundle.parent.parent / "mist_bundle/runtime"
    assert linked_runtime(linked_bundle) == runtime.resolve()
    assert not is_own_runtime(runtime)
    assert is_own_runtime(RUNTIME)
    assert linked_runtime(fresh_bundle) is None


def _relink(bundle: Path, target: str | Path) -> None:
    (bundle / "scripts").unlink()
    (bundle / "scripts").symlink_to(target, target_is_directory=True)


def _package_is_a_link(bundle: Path) -> None:
    package = bundle.parent.parent / "mist_bundle"
    package.rename(package.with_name("elsewhere"))
    package.symlink_to("elsewhere", target_is_directory=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda bundle: _relink(bundle, RUNTIME),
        lambda bundle: _relink(bundle, "../../mist_bundle/runtime/losses"),
        lambda bundle: _relink(bundle, "../../mist_bundle/../mist_bundle/runtime"),
        lambda bundle: _relink(bundle, "../../../mist_bundle/runtime"),
        _package_is_a_link,
    ],
)
def test_other_links_do_not_count(linked_bundle: Path, change: Callable[[Path], None]) -> None:
    change(linked_bundle)
    assert linked_runtime(linked_bundle) is None
