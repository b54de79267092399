"""Slices: the right way round for every orientation, in true proportions, with outlines where the labels are."""

from __future__ import annotations

import base64
import io
import itertools
import re

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from mist_bundle.report.pictures import MAX_PIXELS, Outlined, area, outline, picture, three_planes
from mist_bundle.report.windows import Window

ORIENTATIONS = [
    "".join(letters) for axes in itertools.permutations(("LR", "PA", "IS")) for letters in itertools.product(*axes)
]
UNIT = Window(low=0, high=1)
SPACING = (1.0, 2.0, 4.0)  # along L, P, S
SHAPE = (20, 16, 12)
# a bright voxel towards each side of the patient, in an array whose axes point to L, P, S
SIDES = {"R": (1, 8, 6), "L": (18, 8, 6), "A": (10, 1, 6), "P": (10, 14, 6), "I": (10, 8, 1), "S": (10, 8, 10)}


def _stored_as(orientation: str, lps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    affine[:3, 3] = (30.0, -7.0, 11.0)
    change = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("LPS"), nib.orientations.axcodes2ornt(tuple(orientation))
    )
    image = nib.Nifti1Image(lps, affine).as_reoriented(change)
    assert "".join(nib.aff2axcodes(image.affine)) == orientation
    return np.asarray(image.dataobj), image.affine


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_each_side_of_the_patient_is_where_its_letter_is(orientation: str) -> None:
    assert len(ORIENTATIONS) == 48
    centre = (10, 8, 6)
    for side, place in SIDES.items():
        volume = np.zeros(SHAPE, dtype=np.float32)
        volume[place] = 100
        label = np.zeros(SHAPE, dtype=np.uint8)
        label[centre] = 1
        image, affine = _stored_as(orientation, volume)
        mask, _ = _stored_as(orientation, label)
        for shown in three_planes(
            image, affine, [Outlined(kind="reference", array_xyz=mask, colours={1: 0})], Window(low=0, high=100)
        ):
            left, right, top, bottom = shown.letters
            rows, columns = shown.pixels.shape
            bright = np.argwhere(shown.pixels == 255)
            if side not in shown.letters:
                continue
            assert len(bright) == 1, (shown.plane, side)
            row, column = bright[0]
            distances = {left: column, right: columns - 1 - column, top: row, bottom: rows - 1 - row}
            assert min(distances, key=lambda letter: distances[letter]) == side, shown.plane


def test_planes_show_what_radiologists_expect() -> None:
    image, affine = _stored_as("RAS", np.zeros(SHAPE, dtype=np.float32))
    letters = {one.plane: one.letters for one in three_planes(image, affine, [], UNIT)}
    assert letters == {
        "axial": ("R", "L", "A", "P"),
        "coronal": ("R", "L", "S", "I"),
        "sagittal": ("A", "P", "S", "I"),
    }


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "PIR", "SAL"])
def test_proportions_are_those_of_the_patient(orientation: str) -> None:
    image, affine = _stored_as(orientation, np.zeros(SHAPE, dtype=np.float32))
    sizes = {one.plane: one.size_mm for one in three_planes(image, affine, [], UNIT)}
    assert sizes == {"axial": (20.0, 32.0), "coronal": (20.0, 48.0), "sagittal": (32.0, 48.0)}
    markup = picture(three_planes(image, affine, [], UNIT)[1], "alt")
    assert "aspect-ratio:20.0000/48.0000" in markup


def test_oblique_directions_take_the_nearest_letters() -> None:
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1.0, -1.0, 2.0])
    assert three_planes(np.zeros(SHAPE), affine, [], UNIT)[0].letters == ("R", "L", "A", "P")


def test_slices_are_cut_where_most_is_labelled() -> None:
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[3:8, 4:6, 9] = 1
    label[5, 5, 2] = 1
    shown = three_planes(np.zeros(SHAPE), np.diag([-1.0, -2.0, 4.0, 1.0]), [_reference(label)], UNIT)
    positions = {one.plane: one.position_mm for one in shown}
    assert positions == {"axial": 9 * 4.0, "coronal": 5 * 2.0, "sagittal": 5 * 1.0}


def test_margin_in_millimetres_and_never_beyond_the_image() -> None:
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[10, 8, 1] = 1
    affine = np.diag([-1.0, -2.0, 4.0, 1.0])
    axial, coronal, _ = three_planes(np.zeros(SHAPE), affine, [_reference(label)], UNIT, margin_mm=4.0)
    assert axial.size_mm == (9.0, 10.0), "4 voxels on both sides along L, 2 along P"
    assert coronal.size_mm == (9.0, 12.0), "1 voxel along S, where the image ends, and 1 on the other side"


def _reference(label: np.ndarray) -> Outlined:
    return Outlined(kind="reference", array_xyz=label, colours={1: 0})


def _filled(path: str, shape: tuple[int, int]) -> np.ndarray:
    """The mask that a path goes around: along a row, each vertical edge turns inside into outside."""
    crossings = np.zeros((shape[0], shape[1] + 1), dtype=int)
    for column, start, stop in re.findall(r"M(\d+) (\d+)V(\d+)", path):
        crossings[int(start) : int(stop), int(column)] += 1
    return (np.cumsum(crossings, axis=1)[:, :-1] % 2).astype(bool)


def test_outlines_enclose_exactly_the_mask() -> None:
    rng = np.random.default_rng(5)
    for density in (0.05, 0.5, 0.95):
        mask = rng.random((13, 17)) < density
        path = outline(mask)
        np.testing.assert_array_equal(_filled(path, mask.shape), mask)
        across = re.findall(r"M(\d+) (\d+)H(\d+)", path)
        length = sum(int(stop) - int(start) for start, _, stop in across)
        padded = np.pad(mask, 1).astype(int)
        assert length == np.abs(np.diff(padded, axis=0)).sum()
    assert outline(np.zeros((4, 4), dtype=bool)) == ""


def test_outline_of_a_block_is_four_lines() -> None:
    mask = np.zeros((5, 6), dtype=bool)
    mask[1:3, 2:5] = True
    assert outline(mask) == "M2 1H5M2 3H5M2 1V3M5 1V3"


def test_pixels_in_the_page_are_the_slice() -> None:
    volume = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    shown = three_planes(volume, np.diag([-1.0, -1.0, 1.0, 1.0]), [], Window(low=0.0, high=float(volume.max())))[0]
    markup = picture(shown, "an <axial> slice")
    data = re.search(r"base64,([^\"]+)", markup)
    assert data is not None
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data[1]))))
    expected = np.rint(volume[:, :, SHAPE[2] // 2].T / volume.max() * 255)
    np.testing.assert_array_equal(pixels, expected)
    assert 'alt="an &lt;axial&gt; slice"' in markup


def test_large_slices_are_averaged_down() -> None:
    volume = np.zeros((700, 10, 2), dtype=np.float32)
    volume[::2] = 100
    shown = three_planes(volume, np.eye(4), [], Window(low=0.0, high=100.0))[0]
    assert max(shown.pixels.shape) <= MAX_PIXELS
    assert shown.grid == (10, 700), "outlines stay in voxels"
    assert abs(float(shown.pixels.mean()) - 127.5) < 2


def test_slices_show_every_label_and_those_that_are_talked_about() -> None:
    label = np.zeros((20, 20, 20), np.uint8)
    label[2:12, 2:12, 2:8] = 1
    label[15, 15, 15] = 2  # in no slice that the large label fills
    label[4, 4, 7] = 3  # in one of its slices
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    colours = {1: 0, 2: 1, 3: 2}
    maps = [Outlined(kind="reference", array_xyz=label, colours=colours)]
    for focus, expected in (((2,), {1}), ((3,), {0, 2}), ((1, 3), {0, 2})):
        for shown in three_planes(np.zeros(label.shape), affine, maps, UNIT, focus=focus):
            assert {colour for _, colour, _ in shown.outlines} == expected, (focus, shown.plane)
    # the class is in the prediction alone
    maps.append(Outlined(kind="prediction", array_xyz=np.where(label == 2, 4, 0), colours={4: 3}))
    for shown in three_planes(np.zeros(label.shape), affine, maps, UNIT, focus=(4,)):
        assert ("prediction", 3) in {(kind, colour) for kind, colour, _ in shown.outlines}


def test_filled_area_covers_its_pixels() -> None:
    mask = np.random.default_rng(0).random((7, 9)) > 0.5
    covered = np.zeros(mask.shape, dtype=int)
    for start, row, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", area(mask)):
        covered[int(row), int(start) : int(start) + int(width)] += 1
    np.testing.assert_array_equal(covered, mask)
