"""What a patch brings to DALI's graph besides its arrays: what decides and scales, the map, the resized size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..affine import dali_matrix
from ..patches import PatchDraw
from ..volumes import Triple

SCALARS = ("zoomed", "warped", "noise_sd", "blur_sigma", "brightness", "contrast", "reduced", "inverted_gamma", "gamma")
VECTORS = ("matrix", "low_resolution", "noise_offset")
_NO_MATRIX = np.eye(3, 4, dtype=np.float32)


def drawn_inputs(draw: PatchDraw, patch_size: Triple) -> tuple[NDArray[Any], ...]:
    """What was drawn, as the graph takes it: its SCALARS and VECTORS."""
    warped, reduced = draw.box_map is not None, draw.low_resolution is not None
    switches = {
        "zoomed": not warped and draw.extent != patch_size,
        "warped": warped,
        "reduced": reduced,
    }
    numbers = ("noise_sd", "blur_sigma", "brightness", "contrast", "inverted_gamma", "gamma")
    given: dict[str, NDArray[Any]] = {name: np.array(switch) for name, switch in switches.items()}
    given |= {name: np.array(getattr(draw, name), np.float32) for name in numbers}
    given["matrix"] = dali_matrix(draw.box_map) if draw.box_map is not None else _NO_MATRIX
    given["low_resolution"] = np.array(draw.low_resolution or patch_size, np.float32)
    given["noise_offset"] = np.array([draw.noise_offset], np.int32)
    return tuple(given[name] for name in (*SCALARS, *VECTORS))
