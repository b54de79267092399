"""The inputs of DALI's graph for a patch besides its arrays: switches, factors, the map, the reduced size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...numerics.triples import Triple
from ..affine import dali_matrix
from ..patches import PatchDraw

SCALARS = ("zoomed", "warped", "noise_sd", "blur_sigma", "brightness", "contrast", "reduced", "inverted_gamma", "gamma")
VECTORS = ("matrix", "low_resolution", "noise_offset")
_NO_MATRIX = np.eye(3, 4, dtype=np.float32)


def drawn_inputs(draw: PatchDraw, patch_size: Triple) -> tuple[NDArray[Any], ...]:
    """A draw as the graph takes it: an array for each of SCALARS and VECTORS, in their order."""
    warped = draw.box_map is not None
    return (
        np.array(not warped and draw.extent != patch_size),
        np.array(warped),
        np.array(draw.noise_sd, np.float32),
        np.array(draw.blur_sigma, np.float32),
        np.array(draw.brightness, np.float32),
        np.array(draw.contrast, np.float32),
        np.array(draw.low_resolution is not None),
        np.array(draw.inverted_gamma, np.float32),
        np.array(draw.gamma, np.float32),
        _NO_MATRIX if draw.box_map is None else dali_matrix(draw.box_map),
        np.array(draw.low_resolution or patch_size, np.float32),
        np.array([draw.noise_offset], np.int32),
    )
