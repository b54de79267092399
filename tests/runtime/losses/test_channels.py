"""Classes and regions out of class indices, and what is refused."""

from __future__ import annotations

import pytest
import torch

from mist_bundle.runtime.losses.channels import Channels, distance_maps_of, label_of, spatial_mean


def test_regions_may_overlap_and_ignored_voxels_are_in_none() -> None:
    label = torch.tensor([0, 1, 2, 3, 4]).reshape(1, 1, 5, 1, 1)
    logits = torch.zeros(1, 2, 5, 1, 1)
    channels = Channels(regions=[[1, 2, 3], [3]], ignore_index=4)
    scores, truth = channels.compare(logits, label)
    assert truth[0, :, :, 0, 0].tolist() == [[0, 1, 1, 1, 0], [0, 0, 0, 1, 0]]
    assert scores[0, :, :, 0, 0].tolist() == [[0.5, 0.5, 0.5, 0.5, 0]] * 2
    assert channels.foreground(truth).shape[1] == 2, "no region is a background"


def test_classes_leave_the_background_out_of_the_foreground() -> None:
    logits = torch.randn(2, 3, 2, 2, 2)
    channels = Channels(class_weights=[1, 2, 3])
    scores, truth = channels.compare(logits, torch.ones(2, 1, 2, 2, 2, dtype=torch.uint8))
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(2, 2, 2, 2))
    assert truth.sum() == 16
    assert channels.foreground(scores).shape[1] == 2
    losses = torch.tensor([[1.0, 10.0], [1.0, 10.0]])
    assert float(channels.weighted_mean(losses, foreground=True)) == pytest.approx((2 * 1 + 3 * 10) / 2)


def test_not_a_number_does_not_leave_its_ignored_voxel() -> None:
    logits = torch.zeros(1, 2, 2, 1, 1)
    logits[:, :, 1] = float("nan")
    label = torch.tensor([1, 2]).reshape(1, 1, 2, 1, 1)
    scores, _ = Channels(ignore_index=2).compare(logits, label)
    assert torch.isfinite(scores).all()


def test_mean_over_the_voxels_that_count() -> None:
    values = torch.arange(4.0).reshape(1, 1, 4, 1, 1)
    assert float(spatial_mean(values, None)) == 1.5
    assert float(spatial_mean(values * 0 + 2, torch.tensor([1, 0, 0, 1]).reshape(values.shape) > 0)) == 4.0
    assert float(spatial_mean(values * 0, torch.zeros_like(values) > 0)) == 0.0


def test_target_with_and_without_maps() -> None:
    label, logits = torch.zeros(1, 1, 2, 2, 2), torch.zeros(1, 3, 2, 2, 2)
    assert label_of(label) is label
    assert label_of({"label": label}) is label
    with pytest.raises(ValueError, match="needs distance maps"):
        distance_maps_of(label, logits)
    with pytest.raises(ValueError, match=r"distance maps \(1, 2, 2, 2, 2\) for scores"):
        distance_maps_of({"label": label, "dtm": logits[:, :2]}, logits)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_weights": [1.0, -1.0]}, "expected numbers of 0 or more"),
        ({"class_weights": [0.0, 0.0]}, "not all 0"),
        ({"regions": [[1], [2]], "class_weights": [1.0]}, "1 class_weights for 2 regions"),
    ],
)
def test_settings_that_cannot_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Channels(**arguments)  # type: ignore[arg-type]


def test_scores_that_do_not_belong_to_the_label() -> None:
    logits = torch.zeros(1, 3, 2, 2, 2)
    with pytest.raises(ValueError, match="do not belong together"):
        Channels().compare(logits, torch.zeros(1, 1, 2, 2, 3))
    with pytest.raises(ValueError, match="3 outputs for 2 regions"):
        Channels(regions=[[1], [2]]).compare(logits, torch.zeros(1, 1, 2, 2, 2))
    with pytest.raises(ValueError, match="2 class_weights for 3 channels"):
        Channels(class_weights=[1.0, 1.0]).weighted_mean(torch.zeros(1, 3))


MIXED = {"3": [0, 2], "4": [0, 1, 2]}  # index of voxels -> what they may be, of three classes


def _mixed_problem() -> tuple[torch.Tensor, torch.Tensor]:
    """Three samples: complete; without class 2; and a single class in every voxel, so that nothing is unknown."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 3, 4, 3, 2, generator=generator)
    label = torch.randint(0, 3, (3, 1, 4, 3, 2), generator=generator)
    label[1][label[1] != 1] = 3
    label[2] = 1
    return logits, label


def test_what_a_voxel_may_be_is_added_up_as_its_background() -> None:
    logits, label = _mixed_problem()
    probabilities = torch.softmax(logits, dim=1)
    scores, truth = Channels(mixed=MIXED).compare(logits, label)
    here = label[1, 0] == 3
    torch.testing.assert_close(scores[1, 0][here], (probabilities[1, 0] + probabilities[1, 2])[here])
    torch.testing.assert_close(scores[1, 1], probabilities[1, 1])
    assert (scores[1, 2] == 0).all()
    torch.testing.assert_close(truth[1, 0], here.to(truth.dtype))
    plain_scores, plain_truth = Channels().compare(logits, label)
    for sample in (0, 2):
        torch.testing.assert_close(scores[sample], plain_scores[sample])
        torch.testing.assert_close(truth[sample], plain_truth[sample])


def test_unknown_channels_do_not_count_in_a_mean() -> None:
    logits, label = _mixed_problem()
    channels = Channels(mixed=MIXED, class_weights=[1, 2, 3])
    known = channels.known(label, logits)
    assert known.tolist() == [[True] * 3, [True, True, False], [True] * 3]
    losses = torch.ones(3, 3)
    losses[1, 2] = float("nan")
    assert float(channels.weighted_mean(losses, known=known)) == pytest.approx((6 + 3 + 6) / 8)
    foreground = channels.weighted_mean(losses[:, 1:], foreground=True, known=known)
    assert float(foreground) == pytest.approx((5 + 2 + 5) / 5)
    regions = Channels(mixed=MIXED, regions=[[1, 2], [1], [2]])
    assert regions.known(label, logits).tolist()[1] == [False, True, False]


def test_small_tensors_are_made_once_and_not_in_each_step() -> None:
    channels = Channels(class_weights=[1, 2, 3])
    like = torch.zeros(1)
    assert channels.weights(like) is channels.weights(like + 1)
    assert channels.weights(like.double()) is not channels.weights(like)
    for settings in ({}, {"regions": [[1], [1, 2]]}):
        channels = Channels(**settings)
        logits, label = torch.zeros(1, 2, 4, 4, 4), torch.ones(1, 1, 4, 4, 4, dtype=torch.uint8)
        channels.truth(label, logits)
        first = dict(channels._tensors)
        channels.truth(label, logits)
        assert first
        assert all(channels._tensors[key] is tensor for key, tensor in first.items())
        assert channels._tensors.keys() == first.keys()
