from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.dataset.layout import (
    SourceCase,
    convert_cases,
    description,
    identifying_strings,
    place_file,
    raise_failures,
    split_channels,
)
from mist_bundle.errors import CaseFailure, InputError, Problem
from tests.dataset.samples import save_volume


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_links_and_copies(tmp_path, suffix):
    source = save_volume(tmp_path / f"source{suffix}", np.ones((2, 2, 2), np.uint8))
    linked = place_file(source, tmp_path / "a", "t1")
    assert linked == tmp_path / "a" / f"t1{suffix}"
    assert linked.is_symlink()
    assert linked.resolve() == source.resolve()
    copied = place_file(source, tmp_path / "b", "t1", copy=True)
    assert not copied.is_symlink()
    assert copied.read_bytes() == source.read_bytes()


def test_copies_where_links_are_impossible(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    source = save_volume(tmp_path / "source.nii", np.ones((2, 2, 2), np.uint8))
    placed = place_file(source, tmp_path / "a", "t1")
    assert not placed.is_symlink()
    assert placed.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("scale", [None, (0.25, -3.0)])
def test_channels_of_a_4d_file(tmp_path, scale):
    array = np.random.default_rng(0).integers(0, 1000, size=(3, 4, 5, 2)).astype(np.int16)
    affine = np.diag([-1.0, 2, 3, 1])
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm", "sec")
    if scale:
        image.header.set_slope_inter(*scale)
    nib.save(image, tmp_path / "all.nii.gz")
    split_channels(tmp_path / "all.nii.gz", tmp_path / "case", ["a", "b"])
    expected = np.asanyarray(nib.load(tmp_path / "all.nii.gz").dataobj)
    for index, name in enumerate("ab"):
        channel = nib.load(tmp_path / "case" / f"{name}.nii.gz")
        assert channel.shape == (3, 4, 5)
        np.testing.assert_array_equal(np.asanyarray(channel.dataobj), expected[..., index])
        np.testing.assert_array_equal(channel.affine, affine)
        assert channel.get_data_dtype() == np.int16


def test_description():
    content = description(
        task="My Task", modality="ct", channels=["a"], label_names={4: "x", 0: "background"}, has_test=False, licence=""
    )
    assert content == {
        "task": "my_task",
        "modality": "ct",
        "train-data": "train",
        "mask": ["mask.nii.gz", "mask.nii", "mask.nrrd", "mask.mha"],
        "images": {"a": ["a.nii.gz", "a.nii", "a.nrrd", "a.mha"]},
        "labels": [0, 4],
        "final_classes": {"x": [4]},
        "label_names": {"0": "background", "4": "x"},
    }
    assert identifying_strings("q") == ["q.nii.gz", "q.nii", "q.nrrd", "q.mha"]


def test_raise_failures():
    raise_failures([], 3)
    with pytest.raises(CaseFailure, match="1 of 3 cases failed"):
        raise_failures([Problem("a", "gone")], 3)


def test_a_case_that_fails_half_way_leaves_no_part_of_its_folder(tmp_path):
    """A part of it would be a case without all of its files for whoever reads the dataset."""
    image = save_volume(tmp_path / "image.nii", np.ones((2, 2, 2), np.uint8))
    cases = [SourceCase(id=name, images=(image,), label=image) for name in ("good", "bad")]
    written = convert_cases(_place_and_fail, tmp_path / "out", training=cases, testing=[], workers=1)
    assert written.training == {"good"}
    assert [(problem.path, problem.message) for problem in written.problems] == [("bad", "scan: is odd.")]
    assert [path.name for path in (tmp_path / "out" / "train").iterdir()] == ["good"]
    assert image.is_file()


def _place_and_fail(case, folder):
    place_file(case.images[0], folder / case.id, "t1")
    if case.id == "bad":
        raise InputError(Problem("scan", "is odd."))
