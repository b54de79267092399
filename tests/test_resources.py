"""Own files that are missing are a fault of the installation, wherever they are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import resources
from mist_bundle.errors import InstallationError
from mist_bundle.parallel import map_cases
from mist_bundle.resources import PACKAGE, own_file, own_text, require_complete

MISSING = "report/assets/never_there.css"


def test_own_files_are_found() -> None:
    assert own_file("py.typed") == PACKAGE / "py.typed"
    assert "Apache License" in own_text("bundle/LICENSE.txt")


def test_a_missing_file_is_named_with_what_to_do() -> None:
    with pytest.raises(InstallationError, match=r"never_there\.css: is missing.*Install mist_bundle again"):
        own_text(MISSING)


@pytest.mark.parametrize("workers", [1, 2])
def test_no_case_is_blamed_for_it(workers: int) -> None:
    with pytest.raises(InstallationError, match="never_there"):
        map_cases(own_text, [MISSING, MISSING], name=str, workers=workers)


@pytest.fixture
def pip_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package of two files, as pip would have installed it."""
    package = tmp_path / "mist_bundle"
    record = tmp_path / "mist_bundle-1.dist-info"
    for folder in (package, record):
        folder.mkdir()
    (package / "a.py").touch()
    (package / "b.json").touch()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: mist-bundle\nVersion: 1\n", encoding="utf-8")
    listed = ("mist_bundle/a.py", "mist_bundle/b.json", "mist_bundle/__pycache__/a.pyc")
    (record / "RECORD").write_text("".join(f"{name},,\n" for name in listed), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(resources, "PACKAGE", package)
    return package


def test_what_pip_installed_is_complete_or_not(pip_list: Path) -> None:
    require_complete()
    (pip_list / "b.json").unlink()
    with pytest.raises(InstallationError, match=r"b\.json: is missing\."):
        require_complete()
    (pip_list / "a.py").unlink()
    with pytest.raises(InstallationError, match=r"a\.py: is missing \(and 1 more files\)"):
        require_complete()


def test_a_checkout_has_no_list_to_be_held_to(pip_list: Path) -> None:
    (pip_list / "b.json").unlink()
    (pip_list.parent / "mist_bundle-1.dist-info" / "RECORD").unlink()
    old = pip_list.parent / "mist_bundle.egg-info"
    (pip_list.parent / "mist_bundle-1.dist-info").rename(old)
    (old / "METADATA").rename(old / "PKG-INFO")
    (old / "SOURCES.txt").write_text("mist_bundle/b.json\n", encoding="utf-8")
    require_complete()
