"""Environments in which the programs are installed whose models are imported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def peer_python(name: str, program: str) -> Path:
    """The interpreter of $CONSUMER_ENVIRONMENTS/`name`; skips the test where `program` is not installed there."""
    python = Path(os.environ.get("CONSUMER_ENVIRONMENTS", "build/consumers")).absolute() / name / "bin/python"
    if not python.is_file():
        pytest.skip(
            f"no environment with {program} at {python}; set CONSUMER_ENVIRONMENTS to the folder of environments"
        )
    return python
