from __future__ import annotations

import pytest

from mist_bundle.dataset.channels import channel_names, modality_of


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
