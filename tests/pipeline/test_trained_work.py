"""Trained work when a bundle is configured anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.errors import InputError
from mist_bundle.files import work_dir_of
from tests.conftest import TINY
from tests.pipeline.trained import everything


def test_configuring_anew_never_loses_trained_work_unasked(phantom_json: Path, bundle: Path) -> None:
    output, before = bundle.parent, everything(bundle)
    with pytest.raises(InputError) as caught:
        pipeline.autoconfig(phantom_json, output, TINY, overwrite=True)
    said = str(caught.value)
    assert "models/fold_0.pt, fold_1.pt, model.pt" in said
    assert "fold_1, trained to epoch 2 of 2" in said
    assert "--overwrite_weights" in said
    assert f"train {bundle} --fold all --resume" in said
    assert everything(bundle) == before
    made = pipeline.autoconfig(phantom_json, output, TINY, overwrite=True, overwrite_weights=True).bundle
    assert made == bundle
    assert not list((bundle / "models").iterdir())
    assert not list(work_dir_of(bundle).glob("fold_*"))
    assert not (work_dir_of(bundle) / "results.csv").exists()


def test_states_of_a_bundle_that_was_removed_are_not_taken_for_those_of_a_new_one(
    phantom_json: Path, bundle: Path
) -> None:
    shutil.rmtree(bundle)
    with pytest.raises(InputError, match="holds trained work that a new configuration would lose: fold_0, trained"):
        pipeline.autoconfig(phantom_json, bundle.parent, TINY)
