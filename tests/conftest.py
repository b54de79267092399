"""Fixtures that all tests share: where the real data lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

DATA_VARIABLE = "MIST_BUNDLE_DATA"

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
