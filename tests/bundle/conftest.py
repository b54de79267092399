"""One small data set, configured and trained once, that the tests of the bundle share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.planning.options import PlanOptions

TINY = PlanOptions(recipe="quick", folds=2, epochs=2, steps_per_epoch=2, patch_size=(16, 16, 16), val_fraction=0.2)


@pytest.fixture(scope="session")
def phantom_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dataset.json of six small two-channel MR phantoms, two of them for testing."""
    folder = tmp_path_factory.mktemp("phantom") / "data"
    return make_phantom(folder, kind="mr2", num_cases=6, num_test=2, seed=1, shape=(28, 26, 20))


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
def own_bundle(fresh_bundle: Path, phantom_json: Path, tmp_path: Path) -> Path:
    """A copy of the fresh bundle that a test may change; its data lie where they lay."""
    del phantom_json
    target = tmp_path / fresh_bundle.name
    shutil.copytree(fresh_bundle, target)
    return target
