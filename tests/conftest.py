"""Fixtures that all tests share: where the real data lie, and a small bundle that is configured and trained once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from mist_bundle import pipeline
from mist_bundle.bundle.vendor import RUNTIME, link_runtime
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.planning.options import PlanOptions

DATA_VARIABLE = "MIST_BUNDLE_DATA"
TINY = PlanOptions(recipe="quick", folds=2, epochs=2, steps_per_epoch=2, patch_size=(16, 16, 16), val_fraction=0.2)

# The same examples on every machine, so that a red run is the change's doing; HYPOTHESIS_PROFILE=explore draws others.
settings.register_profile("default", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it skip where it is missing."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get(DATA_VARIABLE, default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set {DATA_VARIABLE} to their folder")
    return folder


@pytest.fixture(scope="session")
def hippocampus_dir(shared_data: Path) -> Path:
    """MSD Task04 Hippocampus, 200 MR cases."""
    return _existing(shared_data / "Task04_Hippocampus")


@pytest.fixture(scope="session")
def brats_dir(shared_data: Path) -> Path:
    """Four BraTS-like cases with two modalities and the labels 0 to 4."""
    return _existing(shared_data / "brats_sample")


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    return folder


@pytest.fixture(scope="session")
def phantom_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dataset.json of six small two-channel MR phantoms, two of them for testing, with headers of every kind."""
    folder = tmp_path_factory.mktemp("phantom") / "data"
    return make_phantom(folder, kind="mr2", num_cases=6, num_test=2, seed=1, shape=(28, 26, 20), oblique=True)


@pytest.fixture(scope="session")
def fresh_bundle(phantom_json: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that was generated and not yet run; not to be changed."""
    return pipeline.autoconfig(phantom_json, tmp_path_factory.mktemp("fresh"), TINY).bundle


@pytest.fixture(scope="session")
def trained_bundle(phantom_json: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, both folds trained for two epochs of two steps and evaluated; not to be changed."""
    bundle = pipeline.autoconfig(phantom_json, tmp_path_factory.mktemp("trained"), TINY).bundle
    pipeline.train(bundle, [0, 1], {"val_interval": 1})
    pipeline.evaluate_folds(bundle, [0, 1], {})
    pipeline.finalize(bundle)
    return bundle


@pytest.fixture
def linked_bundle(fresh_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the fresh bundle in `bundles/` of a repository, whose scripts/ is a link to the package's runtime."""
    repository = tmp_path / "repository"
    target = repository / "bundles" / fresh_bundle.name
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(fresh_bundle, target, ignore=no_caches)
    shutil.copytree(RUNTIME, repository / "mist_bundle/runtime", ignore=no_caches)
    link_runtime(target)
    return target


@pytest.fixture
def own_bundle(fresh_bundle: Path, phantom_json: Path, tmp_path: Path) -> Path:
    """A copy of the fresh bundle that a test may change; its data lie where they lay."""
    del phantom_json
    target = tmp_path / fresh_bundle.name
    shutil.copytree(fresh_bundle, target)
    return target
