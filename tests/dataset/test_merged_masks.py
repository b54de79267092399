"""Masks are merged as voxel-wise logic says, and refused where they are not masks of the image."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from mist_bundle.dataset.merged_masks import LAST, REGIONS, MergedMasks, label_scheme, merge_masks
from mist_bundle.dataset.volumes import Volume
from mist_bundle.errors import InputError

SHAPE = (7, 6, 5)
STRUCTURES = ("liver", "tumor", "vessel", "spleen")


def _volume(array: np.ndarray, affine: np.ndarray | None = None, name: str = "mask.nii.gz") -> Volume:
    return Volume(path=Path(name), array=array, affine=np.eye(4) if affine is None else affine)


def _random_masks(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.random(SHAPE) < 0.3 for name in STRUCTURES[:3]}


def _merged(masks: dict[str, np.ndarray]) -> MergedMasks:
    image = _volume(np.zeros(SHAPE, np.float32), name="ct.nii.gz")
    return merge_masks(image, {name: _volume(mask.astype(np.uint8)) for name, mask in masks.items()}, STRUCTURES)


@pytest.mark.parametrize("seed", range(4))
def test_every_class_of_regions_is_its_mask(seed: int) -> None:
    masks = _random_masks(seed)
    merged = _merged(masks)
    scheme = label_scheme(STRUCTURES, merged.members.values(), REGIONS)
    labels = scheme.lookup(merged.members)[merged.codes]
    for name, mask in masks.items():
        np.testing.assert_array_equal(np.isin(labels, scheme.final_classes[name]), mask)
    assert set(np.unique(labels)) == set(scheme.label_names) - set(scheme.final_classes["spleen"])


@pytest.mark.parametrize("seed", range(4))
def test_the_last_structure_has_the_voxel(seed: int) -> None:
    masks = _random_masks(seed)
    merged = _merged(masks)
    scheme = label_scheme(STRUCTURES, merged.members.values(), LAST)
    expected = np.zeros(SHAPE, int)
    for number, name in enumerate(STRUCTURES, start=1):
        if name in masks:
            expected[masks[name]] = number
    np.testing.assert_array_equal(scheme.lookup(merged.members)[merged.codes], expected)
    assert scheme.label_names == {0: "background", 1: "liver", 2: "tumor", 3: "vessel", 4: "spleen"}


def test_overlaps_are_counted_by_pair() -> None:
    masks = _random_masks(9)
    expected = {}
    for first, second in itertools.combinations(masks, 2):
        expected[first, second] = int((masks[first] & masks[second]).sum())
    assert _merged(masks).overlaps() == expected


def test_without_overlaps_both_ways_give_the_same_labels() -> None:
    apart = np.zeros((3, *SHAPE), bool)
    for index in range(3):
        apart[index, index * 2] = True
    merged = _merged(dict(zip(STRUCTURES, apart, strict=False)))
    assert merged.overlaps() == {}
    last, regions = (label_scheme(STRUCTURES, merged.members.values(), way) for way in (LAST, REGIONS))
    assert last.label_names == regions.label_names
    assert last.final_classes == regions.final_classes


def test_a_structure_that_only_occurs_within_another_is_no_label_of_its_own() -> None:
    liver, tumor = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    liver[1:5], tumor[2:3] = True, True
    merged = _merged({"liver": liver, "tumor": tumor})
    scheme = label_scheme(("liver", "tumor"), merged.members.values(), REGIONS)
    assert scheme.label_names == {0: "background", 1: "liver", 2: "liver + tumor"}
    assert scheme.final_classes == {"liver": (1, 2), "tumor": (2,)}


def test_masks_in_another_storage_order_lie_on_the_same_grid() -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[0, :, 1:3] = 1
    turned = np.diag([-1.0, 1.0, 1.0, 1.0])
    turned[0, 3] = SHAPE[0] - 1
    image = _volume(np.zeros(SHAPE, np.float32), name="ct.nii.gz")
    merged = merge_masks(image, {"liver": _volume(mask[::-1], turned)}, ("liver",))
    np.testing.assert_array_equal(merged.codes, mask)


def test_what_is_no_mask_of_the_image_is_refused_all_at_once() -> None:
    image = _volume(np.zeros(SHAPE, np.float32), name="ct.nii.gz")
    shifted = np.eye(4)
    shifted[0, 3] = 2.0
    masks = {
        "liver": _volume(np.ones(SHAPE, np.uint8), shifted, "liver.nii.gz"),
        "tumor": _volume(np.linspace(0, 1, 210).reshape(SHAPE), None, "tumor.nii.gz"),
        "vessel": _volume(np.full(SHAPE, np.nan), None, "vessel.nii.gz"),
    }
    with pytest.raises(InputError) as refused:
        merge_masks(image, masks, STRUCTURES)
    said = [str(problem) for problem in refused.value.problems]
    assert [line.split(":")[0] for line in said] == ['"liver"', '"tumor"', '"vessel"']
    assert "does not lie on the grid of ct.nii.gz" in said[0]
    assert "a mask of one structure has 0 and a single other" in said[1]
    assert "NaN" in said[2]
