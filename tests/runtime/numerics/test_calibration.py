"""Temperatures against softmax and sigmoid of scaled logits; the expected Dice against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from mist_bundle.runtime.numerics.calibration import ExpectedDice, scaled

GENERATOR = np.random.default_rng(3)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_scaling_divides_the_logits(temperature: float) -> None:
    logits = GENERATOR.normal(size=(4, 5, 6, 7)) * 3
    found = scaled(softmax(logits, axis=0), temperature, exclusive=True)
    np.testing.assert_allclose(found, softmax(logits / temperature, axis=0), atol=2e-6)
    found = scaled(expit(logits), temperature, exclusive=False)
    np.testing.assert_allclose(found, expit(logits / temperature), atol=2e-5)


@pytest.mark.parametrize("exclusive", [True, False])
def test_certainty_stays_certainty(exclusive: bool) -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(scaled(probabilities, 3.0, exclusive=exclusive), probabilities, atol=6e-3)
    assert np.isfinite(scaled(probabilities, 0.05, exclusive=exclusive)).all()


def test_parts_add_up_to_the_dice_expected_of_the_whole() -> None:
    probabilities = softmax(GENERATOR.normal(size=(3, 12, 8, 8)), axis=0)
    whole = ExpectedDice(3, exclusive=True)
    for part in np.split(probabilities, 4, axis=1):
        whole.add(part)
    for index, value in enumerate(whole.dice()):
        mask = probabilities.argmax(axis=0) == index
        inside = probabilities[index][mask].sum()
        assert value == pytest.approx(2 * inside / (mask.sum() + probabilities[index].sum()), rel=1e-5)


def test_calibrated_probabilities_foretell_the_dice() -> None:
    probabilities = expit(GENERATOR.normal(size=(1, 60, 60, 60)) * 2 - 2)
    truth = GENERATOR.random(probabilities.shape) < probabilities
    expected = ExpectedDice(1, exclusive=False)
    expected.add(probabilities)
    predicted = probabilities > 0.5
    dice = 2 * (predicted & truth).sum() / (predicted.sum() + truth.sum())
    assert expected.dice()[0] == pytest.approx(dice, abs=0.01)


def test_nothing_predicted_expects_nothing() -> None:
    expected = ExpectedDice(2, exclusive=True)
    expected.add(np.stack([np.full((4, 4, 4), 0.9), np.full((4, 4, 4), 0.1)]))
    background, organ = expected.dice()
    assert background is not None
    assert organ is None
