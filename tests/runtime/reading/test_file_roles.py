"""Files of a case and their roles, by identifying strings."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.runtime.reading.file_roles import match_files


@pytest.mark.parametrize(
    ("names", "patterns", "expected"),
    [
        # the whole name wins over a part of another name
        (["t1.nii.gz", "ct1.nii.gz"], {"t1": ["t1.nii.gz"], "ct1": ["ct1.nii.gz"]}, {"t1": 0, "ct1": 1}),
        (["t1.nii.gz", "t1ce.nii.gz"], {"t1": ["t1"], "t1ce": ["t1ce"]}, {"t1": 0, "t1ce": 1}),
        (["P_t1.nii.gz", "P_t1ce.nii.gz"], {"t1": ["_t1.nii.gz"], "t1ce": ["_t1ce"]}, {"t1": 0, "t1ce": 1}),
        (["mri.nii"], {"mri": ["mri.nii.gz", "mri.nii"]}, {"mri": 0}),
        # the order of the files and several strings for one role do not matter
        (["b_flair.nii", "a_seg.nii"], {"mask": ["mask", "seg"], "flair": ["flair"]}, {"mask": 1, "flair": 0}),
    ],
)
def test_matching_without_doubt(names, patterns, expected):
    files = [Path("case") / name for name in names]
    chosen, findings = match_files(files, patterns)
    assert findings == []
    assert chosen == {role: files[index] for role, index in expected.items()}


def test_a_part_of_two_names_is_a_doubt():
    files = [Path("P_t1.nii.gz"), Path("P_t1ce.nii.gz")]
    chosen, findings = match_files(files, {"t1": ["t1"]})
    assert chosen == {}
    assert "P_t1.nii.gz, P_t1ce.nii.gz" in findings[0]
    assert "more specific" in findings[0]
