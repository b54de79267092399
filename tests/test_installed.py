"""What users install: wheel and sdist hold every file, and the wheel goes the whole way without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# neither what git ignores nor what an earlier build left: setuptools takes stale files of both for the package's own
IGNORED = shutil.ignore_patterns(
    ".git", ".venv", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "build", "dist", "demo", "*.pyc"
)
PACKAGE = "mist_bundle"
BUNDLE = "out/phantom_mr2_segmentation"


@dataclass(frozen=True)
class Built:
    checkout: Path
    sdist: Path
    wheel: Path


@dataclass(frozen=True)
class Environment:
    """A virtual environment that holds the wheel, and the dependencies of the one the tests run in."""

    folder: Path

    def program(self, name: str) -> str:
        return str(self.scripts / name)

    @property
    def scripts(self) -> Path:
        return Path(sysconfig.get_path("scripts", "venv", {"base": str(self.folder)}))

    @property
    def packages(self) -> Path:
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.folder)}))

    def run(self, *words: str, cwd: Path, code: int = 0) -> str:
        """Run a program of this environment; returns what it printed."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        done = subprocess.run(
            [self.program(words[0]), *words[1:]], cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, f"{' '.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """An sdist, and a wheel made from it, as `python -m build` makes them of a fresh clone."""
    folder = tmp_path_factory.mktemp("built")
    checkout = folder / "checkout"
    shutil.copytree(ROOT, checkout, ignore=IGNORED)
    _python("-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(checkout))
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return Built(checkout, sdist, wheel)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("installed") / "venv")
    _python("-m", "venv", "--without-pip", str(environment.folder))
    dependencies = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    # plain paths: the .pth files in them, an editable install of the checkout among them, are not read
    (environment.packages / "dependencies.pth").write_text("\n".join(dependencies) + "\n", encoding="utf-8")
    _python("-m", "pip", "--python", str(environment.folder), "install", "--no-deps", "--no-index", str(built.wheel))
    return environment


@pytest.fixture(scope="module")
def place(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder away from the checkout, with a small dataset and the bundle that the wheel made of it."""
    folder = tmp_path_factory.mktemp("place")
    small = ("--recipe", "quick", "--folds", "2", "--epochs", "1", "--steps_per_epoch", "2", "--patch_size", "16")
    installed.run("mist-bundle", "phantom", "data", "--cases", "5", "--test_cases", "1", cwd=folder)
    installed.run("python", "-m", "mist_bundle.autoconfig", "data/dataset.json", "--output", "out", *small, cwd=folder)
    return folder


def _python(*words: str) -> None:
    done = subprocess.run([sys.executable, *words], cwd=ROOT.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def _files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _in_sdist(sdist: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            if stream is not None:
                found[member.name.split("/", 1)[1]] = stream.read()
    return found


def _in_wheel(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_every_file_of_the_package(built: Built) -> None:
    ours = {f"{PACKAGE}/{name}": content for name, content in _files(built.checkout / PACKAGE).items()}
    wheel = {name: content for name, content in _in_wheel(built.wheel).items() if name.startswith(f"{PACKAGE}/")}
    assert sorted(wheel) == sorted(ours)
    assert wheel == ours
    assert any(not name.endswith(".py") for name in ours), "there are data files to look for"


def test_the_sdist_holds_every_file_of_the_checkout(built: Built) -> None:
    ours = {name: content for name, content in _files(built.checkout).items() if ".egg-info/" not in name}
    of_git_and_ci = {name for name in ours if name.startswith(".") and not name.startswith(".ci/")}
    sdist = _in_sdist(built.sdist)
    assert sorted(set(ours) - set(sdist) - of_git_and_ci) == []
    assert {name: sdist[name] for name in set(ours) & set(sdist)} == {
        name: ours[name] for name in set(ours) & set(sdist)
    }


def test_the_wheel_of_the_checkout_is_that_of_the_sdist(built: Built, tmp_path: Path) -> None:
    _python("-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), str(built.checkout))
    (direct,) = tmp_path.glob("*.whl")
    assert _in_wheel(direct) == _in_wheel(built.wheel)


@pytest.mark.parametrize("name", ["trust/audit/released_runtimes.json", "runtime/handlers/average.py"])
def test_a_missing_file_of_ours_is_not_the_bundle_s_fault(installed: Environment, place: Path, name: str) -> None:
    file = installed.packages / PACKAGE / name
    file.rename(place / "away")
    try:
        said = installed.run("mist-bundle", "audit", BUNDLE, cwd=place, code=2)
    finally:
        (place / "away").rename(file)
    assert f"{file}: is missing. It is a part of mist_bundle" in said
    assert "Traceback" not in said
    assert BUNDLE not in said
    installed.run("mist-bundle", "audit", BUNDLE, cwd=place)


@pytest.mark.timeout(1800)  # eight commands; a busy machine takes more than ten minutes
def test_from_a_data_set_to_predictions_without_the_checkout(installed: Environment, place: Path) -> None:
    where = installed.run("python", "-c", "import mist_bundle; print(mist_bundle.__file__)", cwd=place)
    assert Path(where.strip()).is_relative_to(installed.packages)
    module = ("python", "-m", "mist_bundle")
    installed.run("mist-bundle", "preprocess", BUNDLE, cwd=place)
    installed.run(*module, "train", BUNDLE, "--fold", "all", cwd=place)
    installed.run("mist-bundle", "evaluate", BUNDLE, cwd=place)
    installed.run(*module, "predict", BUNDLE, "--input", "data/test", "--output", "predictions", cwd=place)
    assert len(list((place / "predictions").glob("*.nii.gz"))) == 1
    installed.run("mist-bundle", "report", BUNDLE, cwd=place)
    assert "PASSED" in installed.run(*module, "verify", BUNDLE, cwd=place)
