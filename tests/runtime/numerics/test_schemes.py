"""Ways of normalising a channel, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mist_bundle.runtime.numerics import schemes
from mist_bundle.runtime.numerics.schemes import SCHEMES, normalize
from mist_bundle.runtime.numerics.slabs import slabs
from tests.runtime.memory import numpy_peak

VALUES = np.random.default_rng(0).uniform(0, 200, (6, 5, 4)).astype(np.float32)
MASK = np.zeros(VALUES.shape, bool)
MASK[1:4, 1:, :3] = True
WINDOW = {"scheme": "window", "low": 20.0, "high": 150.0, "mean": 80.0, "std": 30.0}


def test_zscore_of_the_whole_image_and_inside_the_mask() -> None:
    whole = normalize(VALUES, {"scheme": "zscore", "mask": False}, MASK)
    np.testing.assert_allclose(whole, (VALUES - VALUES.mean()) / VALUES.std(), atol=1e-5)
    inside = normalize(VALUES, {"scheme": "zscore", "mask": True}, MASK)
    np.testing.assert_allclose(inside[MASK].mean(), 0, atol=1e-5)
    np.testing.assert_allclose(inside[MASK].std(), 1, atol=1e-5)
    np.testing.assert_array_equal(inside[~MASK], VALUES[~MASK])  # nnU-Net leaves them as they are


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (WINDOW, (np.clip(VALUES, 20, 150) - 80) / 30),
        ({"scheme": "none"}, VALUES),
        ({"scheme": "zero_to_one"}, (VALUES - VALUES.min()) / (VALUES.max() - VALUES.min())),
        ({"scheme": "bytes_to_one"}, VALUES / 255),
    ],
)
def test_the_other_schemes(scheme: dict[str, Any], expected: Any) -> None:
    before = VALUES.copy()
    np.testing.assert_allclose(normalize(VALUES, scheme, None), expected, atol=1e-5)
    np.testing.assert_array_equal(VALUES, before)


def test_a_constant_image_stays_finite() -> None:
    flat = np.full((3, 3, 3), 7.0, np.float32)
    for name in SCHEMES:
        assert np.isfinite(normalize(flat, {**WINDOW, "scheme": name, "std": 0.0}, np.zeros((3, 3, 3), bool))).all()


def test_colours_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="go from 0 to 300; this channel must have colours from 0 to 255"):
        normalize(np.array([0.0, 300.0]).reshape(2, 1, 1), {"scheme": "bytes_to_one"}, None)


@pytest.mark.parametrize("masked", [False, True])
def test_slab_by_slab_the_zscore_is_the_same(monkeypatch: pytest.MonkeyPatch, masked: bool) -> None:
    at_once = normalize(VALUES, {"scheme": "zscore", "mask": masked}, MASK)
    monkeypatch.setattr(schemes, "slabs", lambda array: slabs(array, 20))
    np.testing.assert_allclose(normalize(VALUES, {"scheme": "zscore", "mask": masked}, MASK), at_once, atol=1e-6)


def test_the_zscore_of_a_large_volume_takes_little_memory() -> None:
    values = np.random.default_rng(0).normal(size=(400, 200, 200)).astype(np.float32)
    mask = values > -1
    out = np.empty_like(values)
    peak = numpy_peak(lambda: normalize(values, {"scheme": "zscore", "mask": True}, mask, out=out))
    assert peak < 0.9 * values.nbytes  # slabs in float64
