"""Label maps read from files and written with the header of another file."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import InputError
from mist_bundle.evaluation.label_files import read_all, read_named, whole_labels, write_label_map
from tests.evaluation.samples import HEADERS, save_label, save_with_header

LABEL = np.arange(60).reshape(5, 4, 3) % 3


@pytest.mark.parametrize("header", HEADERS)
def test_a_written_label_map_lies_where_its_source_lies(tmp_path: Path, header: str) -> None:
    source = save_with_header(tmp_path / "source.nii.gz", LABEL.astype(np.float32), header)
    write_label_map(tmp_path / "out/label.nii.gz", LABEL, source)
    written, original = nib.load(tmp_path / "out/label.nii.gz"), nib.load(source)
    np.testing.assert_array_equal(np.asarray(written.dataobj), LABEL)
    np.testing.assert_allclose(written.affine, original.affine)
    assert written.header.get_xyzt_units() == original.header.get_xyzt_units()
    assert written.header.get_slope_inter() in ((None, None), (1.0, 0.0))


@pytest.mark.parametrize(
    ("values", "kind"), [((0, 255), np.uint8), ((0, 256), np.uint16), ((0, 70000), np.uint32), ((-1, 2), np.int32)]
)
def test_labels_are_stored_in_the_smallest_type_that_holds_them(
    tmp_path: Path, values: tuple[int, int], kind: type
) -> None:
    source = save_label(tmp_path / "source.nii.gz", LABEL)
    label = np.full(LABEL.shape, values[0], dtype=np.int64)
    label[0, 0, 0] = values[1]
    write_label_map(tmp_path / "label.nii.gz", label, source)
    written = nib.load(tmp_path / "label.nii.gz")
    assert written.get_data_dtype() == kind
    np.testing.assert_array_equal(np.asarray(written.dataobj), label)


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    source = save_label(tmp_path / "source.nii.gz", LABEL)
    for name in ("a", "b"):
        write_label_map(tmp_path / f"{name}.nii.gz", LABEL, source)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_floating_point_labels_are_whole_numbers(tmp_path: Path) -> None:
    volume = read_volume(save_with_header(tmp_path / "a.nii.gz", LABEL.astype(np.float32), "both codes"))
    assert whole_labels(volume).dtype.kind in "iu"
    half = read_volume(save_label(tmp_path / "half.nii.gz", LABEL + 0.5))
    with pytest.raises(InputError, match=r"half\.nii\.gz: holds values that are not whole numbers"):
        whole_labels(half)


def test_every_damaged_file_is_named_with_its_folder(tmp_path: Path) -> None:
    paths = [save_label(tmp_path / folder / "001.nii.gz", LABEL) for folder in ("a", "b", "c")]
    for path in paths[1:]:
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError) as caught:
        read_all(read_volume, paths)
    assert [problem.path for problem in caught.value.problems] == [str(path) for path in paths[1:]]
    assert read_named(read_volume, paths[0]).array.shape == LABEL.shape
