"""What the project promises in several places is the same everywhere: Pythons, versions, extras."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from mist_bundle import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
PINNED = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


def test_the_promised_pythons_are_the_same_everywhere() -> None:
    first = PYTHONS[0]
    assert PROJECT["project"]["requires-python"] == f">={first}"
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{first.replace('.', '')}"
    assert f"(Python {', '.join(PYTHONS[:-1])} or {PYTHONS[-1]};" in (ROOT / "README.md").read_text(encoding="utf-8")
    setup = (ROOT / "scripts/setup").read_text(encoding="utf-8")
    assert set(re.findall(r"python(3\.\d+)", setup)) == set(PYTHONS)
    assert f"sys.version_info < ({first.replace('.', ', ')})" in setup


@pytest.mark.parametrize("package", PINNED)
def test_every_pinned_version_exists_for_every_promised_python(package: str) -> None:
    """What each release itself says it supports; a bundle's metadata.json asks its receivers for these versions."""
    try:
        installed = distribution(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed here")
    if installed.version.split("+")[0] != PINNED[package]:
        pytest.skip(f"{installed.version} is installed here, {PINNED[package]} is pinned")
    supported = SpecifierSet(installed.metadata.get("Requires-Python", ""))
    assert [python for python in PYTHONS if f"{python}.99" not in supported] == []


def test_the_version_has_one_home_and_a_changelog_entry() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "mist_bundle.__version__"}
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == __version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__


def test_public_ci_runs_the_promised_pythons_and_the_scripts_of_people() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == PYTHONS
    scripts = {word for step in steps for word in step["run"].split() if word.startswith(("scripts/", ".ci/"))}
    assert scripts == {".ci/run", "scripts/docs", "scripts/lint"}
    assert all((ROOT / script).is_file() for script in scripts)


def test_no_pin_holds_for_some_pythons_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [
        line for line in lines if line and not line.startswith("#") and not re.fullmatch(r"[\w.-]+==\S+", line)
    ] == []
