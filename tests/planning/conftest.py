from __future__ import annotations

import pytest

from mist_bundle.analysis.fingerprint import analyze
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.planning.plan import make_plan
from tests.dataset.samples import write_dataset
from tests.planning.plans import SMALL_DATASET_OPTIONS


@pytest.fixture
def small_dataset(tmp_path):
    """A function that writes four cases with the labels 1 and 4 and returns their spec, fingerprint and plan."""

    def build(options=SMALL_DATASET_OPTIONS, damage=None, **changes):
        description = write_dataset(tmp_path, 4, **changes)
        if damage is not None:
            damage(tmp_path / "train")
        spec = DatasetSpec.from_json(description)
        fingerprint = analyze(spec, find_cases(spec).cases)
        return spec, fingerprint, make_plan(spec, fingerprint, options)

    return build
