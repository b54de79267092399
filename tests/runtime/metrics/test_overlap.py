"""Counting metrics against MONAI's confusion matrix and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import compute_confusion_matrix_metric, get_confusion_matrix

from mist_bundle.runtime.metrics import overlap


def _monai(name: str, prediction: np.ndarray, reference: np.ndarray) -> float:
    masks = [torch.from_numpy(mask).float()[None, None] for mask in (prediction, reference)]
    return float(compute_confusion_matrix_metric(name, get_confusion_matrix(*masks, include_background=True)))


@pytest.mark.parametrize("seed", range(3))
def test_ratios_are_monais(seed: int) -> None:
    generator = np.random.default_rng(seed)
    prediction, reference = generator.random((9, 8, 7)) > 0.6, generator.random((9, 8, 7)) > 0.5
    counts = overlap.count_overlap(prediction, reference)
    assert overlap.sensitivity(counts) == pytest.approx(_monai("sensitivity", prediction, reference), abs=1e-6)
    assert overlap.precision(counts) == pytest.approx(_monai("precision", prediction, reference), abs=1e-6)
    assert overlap.dice(counts) == pytest.approx(_monai("f1 score", prediction, reference), abs=1e-6)
    assert overlap.iou(counts) == pytest.approx(_monai("threat score", prediction, reference), abs=1e-6)


def test_volume_difference_is_in_millilitres() -> None:
    reference = np.ones((10, 10, 10), bool)
    prediction = reference.copy()
    prediction[:5] = False
    # 500 voxels of 4 mm³
    assert overlap.volume_difference(overlap.count_overlap(prediction, reference, 4.0)) == pytest.approx(2.0)
    assert overlap.volume_difference(overlap.count_overlap(reference, prediction, 4.0)) == pytest.approx(2.0)
