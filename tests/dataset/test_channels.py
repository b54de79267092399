from __future__ import annotations

import pytest

from mist_bundle.dataset.channels import channel_names, modality_of, numbering_problem


@pytest.mark.parametrize(
    ("modality", "expected"),
    [
        ({"0": "T1w", "1": "T1 (Gd)", "2": "FLAIR"}, ("t1w", "t1_gd", "flair")),
        ({"0": "MRI", "1": "MRI"}, ("mri", "mri_1")),  # distinct names
        ({"10": "k", "2": "c", "0": "a"}, ("a", "c", "k")),  # ordered as numbers
        ({"0": "mask", "1": "???"}, ("mask_0", "channel_1")),  # reserved, empty
    ],
)
def test_channel_names(modality, expected):
    assert channel_names(modality) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["CT"], "ct"),
        (["cbct", "ct"], "ct"),
        (["T1w", "t1gd", "FLAIR"], "mr"),
        (["MRI"], "mr"),
        (["ct", "t1"], "other"),
        (["us"], "other"),
        (["contrast"], "other"),  # a contrast agent is used in CT and MR alike
    ],
)
def test_modality_of(names, expected):
    assert modality_of(names) == expected


@pytest.mark.parametrize(
    ("channels", "words"),
    [({"0": "a", "1": "b"}, ""), ({"0": "a", "2": "b"}, "0, 2; expected 0 to 1"), ({"T1": "0"}, "T1; expected 0 to 0")],
)
def test_channels_are_numbered_from_0(channels, words):
    """A gap would give a channel the file of another; names before numbers, every channel the name of a number."""
    problem = numbering_problem(channels)
    assert words in problem
    assert bool(problem) == bool(words)
