"""A trained bundle that the tests of the pipeline may change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mist_bundle.files import work_dir_of


@pytest.fixture
def bundle(trained_bundle: Path, tmp_path: Path) -> Path:
    """A trained, evaluated and finalized bundle, with its work folder, which a test may change."""
    target = tmp_path / trained_bundle.name
    shutil.copytree(trained_bundle, target)
    shutil.copytree(work_dir_of(trained_bundle), work_dir_of(target))
    return target
