"""A trained bundle becomes complete: the best fold by its own validation, results in card and metadata."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.bundle.finalize import finalize_bundle, results_text
from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.manifest import differences
from mist_bundle.bundle.publish import publish_weights
from mist_bundle.errors import InputError
from mist_bundle.files import BUNDLE_README, MODEL_PT
from mist_bundle.runtime.folds.files import sha256_of
from tests.bundle.trained_folds import save_best

SUMMARY = {"liver_dice": {"Mean": 0.91234567, "Std": 0.05, "Median": 0.93}}


def _publish(bundle: Path, number: int, score: float) -> str:
    """Publish weights of a fold with a validation score; returns their hash."""
    fold = save_best(bundle, number, score)
    publish_weights(bundle, fold)
    return sha256_of(fold.weights) if fold.weights.is_file() else sha256_of(bundle / MODEL_PT)


def test_the_best_fold_becomes_the_model_and_the_results_are_published(own_bundle: Path) -> None:
    weights = {0: _publish(own_bundle, 0, 0.6), 1: _publish(own_bundle, 1, 0.8)}
    finalize_bundle(own_bundle, SUMMARY, weights)
    bundle = Bundle(own_bundle)
    assert sha256_of(bundle.model) == weights[1]
    assert bundle.metadata["eval_metrics"] == {"liver_dice": 0.91235}
    card = (own_bundle / BUNDLE_README).read_text()
    assert "model.pt is fold 1" in card
    assert "| liver_dice | 0.9123 | 0.0500 | 0.9300 |" in card
    assert differences(own_bundle) == []


def test_folds_without_weights_are_named_and_nothing_changes(own_bundle: Path) -> None:
    _publish(own_bundle, 0, 0.6)
    card = (own_bundle / BUNDLE_README).read_text()
    with pytest.raises(InputError, match=r"fold_1\.pt: does not exist\. Train this fold first"):
        finalize_bundle(own_bundle, SUMMARY, {})
    assert (own_bundle / BUNDLE_README).read_text() == card


def test_the_section_of_results_names_the_scored_weights() -> None:
    text = results_text(SUMMARY, 0, {1: "b" * 64, 0: "a" * 64})
    assert "fold 0 `aaaaaaaaaaaa`, fold 1 `bbbbbbbbbbbb`." in text
    assert text.splitlines()[-1].startswith("| liver_dice |")
