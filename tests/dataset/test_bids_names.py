"""File names of BIDS."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.dataset.bids_names import BidsFile, bids_files, parse_name
from mist_bundle.errors import Problem


@pytest.mark.parametrize(
    ("name", "channel", "session", "run"),
    [
        ("sub-01_T1w.nii.gz", "T1w", "", ""),
        ("sub-01_ses-pre_run-2_T1w.nii", "T1w", "pre", "2"),
        ("sub-A1_acq-mprage_ce-gd_run-02_T1w.nii.gz", "acq-mprage_ce-gd_T1w", "", "02"),
        ("sub-01_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz",
         "space-MNI152NLin2009cAsym_res-2_desc-preproc_bold", "", ""),
    ],
)  # fmt: skip
def test_good_names(name: str, channel: str, session: str, run: str) -> None:
    file = parse_name(Path(name))
    assert isinstance(file, BidsFile)
    assert (file.channel, file.session, file.run) == (channel, session, run)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("T1w.nii.gz", "does not begin with the subject"),
        ("sub-01_acq_T1w.nii.gz", "'acq', which is not a key-value pair"),
        ("sub-01_run-1_run-2_T1w.nii.gz", "'run' twice"),
        ("sub-01_T1w-2.nii.gz", "has no suffix"),
        ("sub-01_ses-1_.nii.gz", "has no suffix"),
    ],
)
def test_bad_names(name: str, words: str) -> None:
    wrong = parse_name(Path(name))
    assert isinstance(wrong, str)
    assert words in wrong


def test_only_the_folders_of_bids_are_searched(tmp_path: Path) -> None:
    places = ("sub-01/anat/sub-01_T1w", "sub-01/ses-1/anat/sub-01_ses-1_T1w", "other/sub-01_T1w", "sub-01/sub-01_T1w")
    for name in places:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.nii.gz").touch()
    problems: list[Problem] = []
    found = [file.path.relative_to(tmp_path).as_posix() for file in bids_files(tmp_path, problems)]
    assert found == ["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"]
    assert problems == []
