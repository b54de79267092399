"""Windows: by anatomy in CT, and wide enough for lesions everywhere else."""

from __future__ import annotations

import numpy as np
import pytest

from mist_bundle.report.windows import BONE, BRAIN, LUNG, SOFT_TISSUE, window_of


def _case(hounsfield: float) -> tuple[np.ndarray, np.ndarray]:
    """Air around tissue with a structure inside."""
    image = np.full((20, 20, 20), -1000, np.int16)
    image[4:16, 4:16, 4:16] = 40
    label = np.zeros(image.shape, np.uint8)
    label[8:12, 8:12, 8:12] = 1
    image[label == 1] = hounsfield
    return image, label


@pytest.mark.parametrize(
    ("hounsfield", "names", "expected"),
    [
        (60, ["background", "liver"], SOFT_TISSUE),
        (-700, ["structure"], LUNG),
        (600, ["structure"], BONE),
        (-850, ["lung_upper_lobe_left"], LUNG),
        (30, ["lung_nodule"], LUNG),
        (150, ["vertebra_L1", "rib_3"], BONE),
        (65, ["intracranial_hemorrhage"], BRAIN),
        (35, ["brain"], BRAIN),
        (60, ["liver", "lung", "vertebra"], SOFT_TISSUE),
        (60, ["strip", "cerebrib", "membrane"], SOFT_TISSUE),
    ],
)
def test_ct_is_shown_by_what_is_labelled(hounsfield: float, names: list[str], expected: object) -> None:
    assert window_of(*_case(hounsfield), "ct", names) == expected


def test_values_that_are_no_hounsfield_units_are_shown_by_their_range() -> None:
    image, label = _case(3000)
    window = window_of(image, label, "ct", ["liver"])
    assert window.name == window.words == ""
    assert window.low < 3000 <= window.high


def test_window_is_said_in_words() -> None:
    assert SOFT_TISSUE.words == "soft-tissue window, -160 to 240 HU"


def test_bright_lesions_are_not_clipped() -> None:
    # a lesion of a thousandth of the image, three times as bright as the rest: beyond the 99.5 percentile
    generator = np.random.default_rng(0)
    image = np.zeros((40, 40, 40), np.float32)
    image[5:] = generator.uniform(100, 200, (35, 40, 40))
    label = np.zeros(image.shape, np.uint8)
    label[20:24, 20:24, 20:24] = 1
    image[label == 1] = generator.uniform(500, 600, 64)
    assert window_of(image, None, "mr").high == pytest.approx(199.5, abs=1)
    window = window_of(image, label, "mr")
    assert window.low == 0, "air stays black"
    assert 590 < window.high < 600
