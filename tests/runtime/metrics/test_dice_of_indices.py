"""Dice of class indices against MONAI's Dice of masks."""

from __future__ import annotations

import pytest
import torch
from monai.metrics import DiceMetric
from monai.networks.utils import one_hot

from mist_bundle.runtime.metrics import dice_of_indices
from mist_bundle.runtime.metrics.dice_of_indices import DiceOfIndices

SHAPE = (2, 1, 9, 8, 7)


def _indices(seed: int, num_classes: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, num_classes, SHAPE, generator=generator)


@pytest.mark.parametrize("num_classes", [2, 5, 104])
@pytest.mark.parametrize("voxels_at_a_time", [50, 1 << 24])
def test_classes(num_classes: int, voxels_at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dice_of_indices, "_VOXELS_AT_A_TIME", voxels_at_a_time)
    prediction, label = _indices(0, num_classes), _indices(1, num_classes)
    label[label == num_classes - 1] = 0  # a class that no label has
    reference, metric = DiceMetric(include_background=False), DiceOfIndices(num_classes)
    for case in range(2):  # as a validation does, case by case
        masks = one_hot(prediction[case : case + 1], num_classes), one_hot(label[case : case + 1], num_classes)
        expected = reference(*masks)
        result = metric([prediction[case].to(torch.int16)], [label[case].to(torch.uint8)])
        torch.testing.assert_close(result, expected, equal_nan=True)
    if num_classes == 2:
        assert torch.isnan(metric.get_buffer()).all()
    torch.testing.assert_close(metric.aggregate(), reference.aggregate())


def test_regions_may_overlap_and_some_voxels_do_not_count() -> None:
    regions, ignored = [[1, 2], [2], [3]], 4
    label = _indices(2, 5)
    masks = torch.rand(2, 3, *SHAPE[2:], generator=torch.Generator().manual_seed(3)) > 0.4
    counted = label != ignored
    truth = torch.cat([torch.isin(label, torch.tensor(region)) for region in regions], dim=1)
    expected = DiceMetric(include_background=True)((masks & counted).float(), (truth & counted).float())
    torch.testing.assert_close(DiceOfIndices(4, regions, ignored)(masks, label), expected)


def test_ignored_voxels_of_classes() -> None:
    prediction, label, ignored = _indices(4, 3), _indices(5, 4), 3
    counted = label != ignored
    masks = one_hot(prediction * counted, 3), one_hot(label * counted, 3)
    expected = DiceMetric(include_background=False)(*masks)
    torch.testing.assert_close(DiceOfIndices(3, ignore_index=ignored)(prediction, label), expected)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="has shape"):
        DiceOfIndices(2)(torch.zeros(1, 1, 2, 2, 2), torch.zeros(1, 1, 2, 2, 3))


def test_classes_that_were_not_annotated_say_nothing() -> None:
    prediction, label = _indices(4, 4), _indices(5, 4)
    label[1][(label[1] == 0) | (label[1] == 2)] = 4
    reference = label.clone()
    reference[1][reference[1] == 4] = 0
    expected = DiceMetric(include_background=False)(one_hot(prediction, 4), one_hot(reference, 4))
    expected[1, 1] = torch.nan
    result = DiceOfIndices(4, mixed={"4": [0, 2]})(list(prediction), list(label))
    torch.testing.assert_close(result, expected, equal_nan=True)
    masks = [torch.cat([(one > 0), (one == 3)]).byte() for one in prediction]
    by_region = DiceOfIndices(4, regions=[[1, 2, 3], [3]], mixed={"4": [0, 2]})(masks, list(label))
    assert torch.isnan(by_region[1, 0])
    torch.testing.assert_close(by_region[1, 1], expected[1, 2])
    assert not torch.isnan(by_region[0]).any()
