from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.dataset.names import file_name_problem, is_image
from mist_bundle.runtime.reading.formats import image_stem, image_suffix


@pytest.mark.parametrize("name", ["", " a", "a ", ".hidden", "a/b", "a\\b", "a:b", "a\nb", "..", "x" * 256, "ä" * 128])
def test_names_that_no_file_can_have(name):
    assert file_name_problem(name)


@pytest.mark.parametrize("name", ["001", "t1-post", "Patient 7", "Bäcker_1", "x.y", "x" * 255])
def test_names_that_files_can_have(name):
    assert file_name_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "is_readable", "stem", "suffix"),
    [
        ("a.nii.gz", True, "a", ".nii.gz"),
        ("a.b.nii", True, "a.b", ".nii"),
        ("A.NII.GZ", True, "A", ".nii.gz"),
        ("._a.nii.gz", False, "._a", ".nii.gz"),
        ("a.gz", False, "a.gz", ""),
        ("a.nrrd", True, "a", ".nrrd"),
        ("a.b.MHA", True, "a.b", ".mha"),
    ],
)
def test_image_names(name, is_readable, stem, suffix):
    path = Path("folder.nii") / name
    assert (is_image(path), image_stem(path), image_suffix(path)) == (is_readable, stem, suffix)
