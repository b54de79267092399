"""What each loss of the menu must do: right values and gradients, less for better predictions, blind where told to."""

from __future__ import annotations

import pytest
import torch

from mist_bundle.catalog.losses import LOSSES
from tests.runtime.losses import reference
from tests.runtime.losses.samples import (
    REGIONS,
    SHAPE,
    TERMS,
    build,
    build_term,
    label_and_logits,
    maps_of,
    scores_near,
    target_of,
    value_of,
)

IGNORED = 3  # the index after the last class
WEIGHTS = {None: [0.25, 1.0, 1.75], 2: [0.5, 1.5]}

FORMS = [None, REGIONS]


def _problem(regions: list[list[int]] | None) -> tuple[dict[str, torch.Tensor], torch.Tensor, reference.Problem]:
    label, _ = label_and_logits()
    _, logits = label_and_logits(3 if regions is None else len(regions))
    target = target_of(label, regions)
    return target, logits, reference.Problem(label, logits, target["dtm"], regions)


@pytest.mark.parametrize("regions", FORMS, ids=["classes", "regions"])
@pytest.mark.parametrize("name", TERMS)
def test_equals_the_formula_in_numpy(name: str, regions: list[list[int]] | None) -> None:
    target, logits, one = _problem(regions)
    channels = {} if regions is None else {"regions": regions}
    assert float(value_of(build_term(name, **channels), logits, target)) == pytest.approx(
        reference.expected(name, one, None), rel=1e-6
    )


@pytest.mark.parametrize("regions", FORMS, ids=["classes", "regions"])
@pytest.mark.parametrize("name", TERMS)
def test_class_weights_multiply_each_channel(name: str, regions: list[list[int]] | None) -> None:
    target, logits, one = _problem(regions)
    weights = WEIGHTS[None if regions is None else 2]
    channels = {"class_weights": weights} if regions is None else {"class_weights": weights, "regions": regions}
    value = float(value_of(build_term(name, **channels), logits, target))
    assert value == pytest.approx(reference.expected(name, one, weights), rel=1e-6)
    assert value != pytest.approx(reference.expected(name, one, None), rel=1e-4)


@pytest.mark.parametrize("name", sorted(reference.MIST))
def test_equals_mist(name: str) -> None:
    target, logits, _ = _problem(None)
    for share, expected in zip((0.5, 0.0), reference.MIST[name], strict=True):
        assert float(value_of(build(name, share), logits, target)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name].extended])
def test_extended_form_is_the_same_loss(name: str) -> None:
    target, logits, _ = _problem(None)
    plain = build_term(name)(logits, target["label"])
    even = build_term(name, class_weights=[1.0, 1.0, 1.0])(logits, target)
    torch.testing.assert_close(even, plain, rtol=1e-6, atol=0)


@pytest.mark.parametrize("form", ["classes", "regions", "ignored", "weighted"])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_gradient_is_that_of_finite_differences(name: str, form: str) -> None:
    regions = REGIONS if form == "regions" else None
    channels = {"regions": regions} if regions else {}
    channels |= {"ignore_index": IGNORED} if form == "ignored" else {}
    channels |= {"class_weights": WEIGHTS[None]} if form == "weighted" else {}
    target, logits, _ = _problem(regions)
    part = (slice(None), slice(None), slice(2, 9), slice(3, 9), slice(1, 6))
    label, maps = target["label"][part].clone(), target["dtm"][part]
    if form == "ignored":
        label[:, :, :3] = IGNORED
    loss = build(name, **channels)
    inputs = logits[part].clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda scores: value_of(loss, scores, {"label": label, "dtm": maps}), (inputs,), eps=1e-5, fast_mode=True
    )


@pytest.mark.parametrize("share", [None, 0.0], ids=["composite", "term"])
@pytest.mark.parametrize("regions", FORMS, ids=["classes", "regions"])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_falls_as_the_prediction_improves(name: str, regions: list[list[int]] | None, share: float | None) -> None:
    label, _ = label_and_logits()
    loss = build(name, share, **({} if regions is None else {"regions": regions}))
    values = [
        float(value_of(loss, scores_near(label, quality, regions), target_of(label, regions)))
        for quality in (0.0, 0.3, 0.6, 1.0)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.02


@pytest.mark.parametrize("regions", FORMS, ids=["classes", "regions"])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_ignored_voxels_have_no_say(name: str, regions: list[list[int]] | None) -> None:
    label, _ = label_and_logits()
    maps = maps_of(label, regions)
    ignored = torch.zeros(label.shape, dtype=torch.bool)
    ignored[:, :, 3:7, 2:8] = True
    label[ignored] = IGNORED
    loss = build(name, ignore_index=IGNORED, **({} if regions is None else {"regions": regions}))
    target, logits, _ = _problem(regions)
    logits = logits.requires_grad_()
    value = loss(logits, {"label": label, "dtm": maps})
    value.backward()
    hidden = ignored.expand_as(logits)
    assert torch.count_nonzero(logits.grad[hidden]) == 0
    assert torch.count_nonzero(logits.grad[~hidden]) > 0
    others = torch.where(hidden, -7.0 * torch.ones_like(logits), logits.detach())
    distant = torch.where(ignored.expand_as(maps), 100.0 * torch.ones_like(maps), maps)
    torch.testing.assert_close(loss(others, {"label": label, "dtm": distant}), value.detach())
    del target


@pytest.mark.parametrize("regions", FORMS, ids=["classes", "regions"])
@pytest.mark.parametrize(
    "name", ["dice", "dice_ce", "dice_focal", "generalized_dice", "boundary", "hausdorff_one_sided"]
)
def test_ignored_slices_might_as_well_be_cut_off(name: str, regions: list[list[int]] | None) -> None:
    # of losses that look at one voxel after the other; those that look at surfaces see an edge there
    target, logits, _ = _problem(regions)
    label = target["label"].clone()
    label[:, :, 7:] = IGNORED
    channels = {"ignore_index": IGNORED, "class_weights": WEIGHTS[None if regions is None else 2]}
    channels |= {} if regions is None else {"regions": regions}
    loss = build(name, **channels)
    cut = {key: value[:, :, :7] for key, value in target.items()}
    torch.testing.assert_close(loss(logits, {**target, "label": label}), loss(logits[:, :, :7], cut))


@pytest.mark.parametrize("regions", FORMS, ids=["classes", "regions"])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_patch_without_any_label_is_no_accident(name: str, regions: list[list[int]] | None) -> None:
    label = torch.full((1, 1, *SHAPE), IGNORED)
    logits = label_and_logits(3 if regions is None else 2)[1][:1].requires_grad_()
    channels = {"ignore_index": IGNORED, "class_weights": WEIGHTS[None if regions is None else 2]}
    loss = build(name, **channels, **({} if regions is None else {"regions": regions}))
    value = loss(logits, {"label": label, "dtm": torch.ones_like(logits)})
    value.backward()
    assert torch.isfinite(value)
    assert torch.count_nonzero(logits.grad) == 0


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_absent_classes_and_certain_scores_stay_finite(name: str) -> None:
    label = torch.zeros((1, 1, *SHAPE), dtype=torch.uint8)
    logits = torch.full((1, 3, *SHAPE), -60.0)
    logits[:, 0] = 60.0
    logits = logits.requires_grad_()
    value = value_of(build(name), logits, {"label": label, "dtm": torch.ones(1, 3, *SHAPE)})
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


MIXED = {"3": [0, 2]}  # background or class 2


def _erased(label: torch.Tensor) -> torch.Tensor:
    """The label of the first sample without class 2, whose voxels may be anything but class 1."""
    erased = label.clone()
    erased[0][erased[0] != 1] = 3
    return erased


@pytest.mark.parametrize("regions", FORMS, ids=["classes", "regions"])
@pytest.mark.parametrize("name", LOSSES)
def test_complete_labels_cost_what_they_did(name: str, regions: list[list[int]] | None) -> None:
    target, logits, _ = _problem(regions)
    channels = {} if regions is None else {"regions": regions}
    plain = value_of(build(name, **channels, class_weights=None), logits, target)
    assert float(value_of(build(name, **channels, mixed=MIXED), logits, target)) == pytest.approx(
        float(plain), rel=1e-6
    )


@pytest.mark.parametrize("name", LOSSES)
def test_what_was_not_annotated_may_be_predicted_or_not(name: str) -> None:
    """With the true voxels of class 2 moved between background and class 2, the loss stays; class 1 still costs."""
    label, _ = label_and_logits()
    erased = _erased(label)[:1]
    target = {"label": erased, "dtm": maps_of(torch.where(erased == 3, 0, erased))}
    loss = build(name, mixed=MIXED)
    right = scores_near(label, 0.8)[:1]
    # logits of background and class 2 exchanged wherever class 1 is not true: their sum of probabilities stays
    exchanged = torch.where(erased == 1, right, right[:, [2, 1, 0]])
    assert float(value_of(loss, exchanged, target)) == pytest.approx(float(value_of(loss, right, target)), rel=1e-5)
    wrong = right.clone()
    wrong[:, 1] += 8 * (label[:1, 0] == 2)  # class 1 where it cannot be
    assert float(value_of(loss, wrong, target)) > float(value_of(loss, right, target))


@pytest.mark.parametrize("name", LOSSES)
def test_an_unknown_region_gets_no_gradient(name: str) -> None:
    label, _ = label_and_logits()
    erased = _erased(label)[:1]
    clean = torch.where(erased == 3, 0, erased)
    regions = [[1], [1, 2], [2]]
    _, logits = label_and_logits(3)
    logits = logits[:1].clone().requires_grad_()
    target = {"label": erased, "dtm": maps_of(clean, regions)}
    value_of(build(name, regions=regions, mixed=MIXED), logits, target).backward()
    assert logits.grad is not None
    assert (logits.grad[:, 1:] == 0).all()
    assert (logits.grad[:, 0] != 0).any()
