"""Steps that are timed are steps of the bundle's own training."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.errors import InputError
from mist_bundle.pipeline.cost_estimate import time_steps


@pytest.mark.slow
def test_steps_are_timed_and_the_peak_is_that_of_a_process(fresh_bundle: Path) -> None:
    found = time_steps(fresh_bundle, {"batch_size": 2}, "cpu", 2)
    assert len(found["seconds"]) == 2
    assert all(seconds > 0 for seconds in found["seconds"])
    assert 2e8 < found["memory_bytes"] < 4e9


@pytest.mark.slow
def test_a_step_that_fails_says_why(fresh_bundle: Path) -> None:
    with pytest.raises(InputError, match="a step of its training was tried and failed"):
        time_steps(fresh_bundle, {"patch_size": [15, 16, 16]}, "cpu", 1)
