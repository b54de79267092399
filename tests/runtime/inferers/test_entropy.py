"""Entropy of class probabilities, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from mist_bundle.runtime.inferers.entropy import entropy, region_entropy


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_entropy_of_classes(classes: int) -> None:
    probabilities = torch.softmax(torch.randn(2, classes, 4, 3, 2, generator=torch.Generator().manual_seed(0)), dim=1)
    expected = scipy.stats.entropy(probabilities.numpy(), axis=1, base=classes)
    np.testing.assert_allclose(entropy(probabilities)[:, 0].numpy(), expected, rtol=1e-5)


def test_certainty_has_no_entropy_and_all_classes_alike_have_the_most() -> None:
    certain = torch.tensor([0.0, 1.0, 0.0]).reshape(1, 3, 1, 1, 1)
    assert entropy(certain).item() == 0
    assert entropy(torch.full((1, 3, 1, 1, 1), 1 / 3)).item() == pytest.approx(1)


def test_entropy_of_regions_is_the_mean_over_the_regions() -> None:
    inside = torch.tensor([0.5, 0.0, 0.9]).reshape(1, 3, 1, 1, 1)
    expected = np.mean([scipy.stats.entropy([p, 1 - p], base=2) for p in (0.5, 0.0, 0.9)])
    assert region_entropy(inside).item() == pytest.approx(expected, rel=1e-5)
