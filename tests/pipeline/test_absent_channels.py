"""What is refused; the scores without a channel are tested in tests/bundle/test_optional_channels.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.errors import InputError
from mist_bundle.pipeline.absent_channels import measure_absent_channels


def test_a_bundle_that_needs_all_of_its_channels(trained_bundle: Path) -> None:
    with pytest.raises(InputError, match="optional_images"):
        measure_absent_channels(trained_bundle, [0], {})
