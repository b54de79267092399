"""A volume in memory: its storage order, and why it does not lie on another's grid."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from mist_bundle.runtime.numerics.grid import reorient
from mist_bundle.runtime.reading.volume import UnreadableFileError, Volume

SPACING = (1.0, 2.0, 3.0)


def volume(affine: np.ndarray, name: str = "a.nii.gz", shape: tuple[int, ...] = (4, 5, 6)) -> Volume:
    return Volume(path=Path(name), array=np.arange(np.prod(shape)).reshape(shape), affine=affine)


@pytest.mark.parametrize("axcodes", ["LPS", "RAS", "ASR", "IPL"])
def test_another_storage_order_is_turned(axcodes: str) -> None:
    reference = volume(np.diag([*SPACING, 1.0]))
    array, affine = reorient(reference.array[None], reference.affine, axcodes)
    turned = Volume(path=Path("b.nii.gz"), array=array[0], affine=affine).on_grid_of(reference)
    np.testing.assert_array_equal(turned.array, reference.array)
    np.testing.assert_allclose(turned.affine, reference.affine)
    assert turned.grid_finding(reference) == ""


def test_what_lies_elsewhere_stays_and_is_explained() -> None:
    reference = volume(np.diag([*SPACING, 1.0]))
    shifted = volume(np.diag([*SPACING, 1.0]) + np.pad([[7.0]], ((0, 3), (3, 0))), "b.nii.gz")
    assert shifted.on_grid_of(reference) is shifted
    finding = shifted.grid_finding(reference)
    assert finding.startswith("b.nii.gz does not lie on the grid of a.nii.gz: its origin is shifted by (7, 0, 0) mm")


def test_channels_are_not_turned() -> None:
    reference = volume(np.diag([*SPACING, 1.0]))
    channels = volume(np.diag([-1.0, 2.0, 3.0, 1.0]), shape=(4, 5, 6, 2))
    assert channels.on_grid_of(reference) is channels
    assert channels.shape == (4, 5, 6)


def test_a_refusal_names_the_file_in_every_process() -> None:
    error = pickle.loads(pickle.dumps(UnreadableFileError("a.nii.gz", "is empty.")))
    assert (error.file_name, error.reason, str(error)) == ("a.nii.gz", "is empty.", "a.nii.gz is empty.")
