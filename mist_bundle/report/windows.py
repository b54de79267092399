"""The intensity window of a picture, chosen so that the labelled structures are visible.

CT uses the windows of radiologists, chosen by the names of the labels ("lung", "rib", "haemorrhage") or else by the
Hounsfield units inside them. Other images use a robust range of their own, extended to the labelled voxels, so that a
bright lesion is not clipped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CT = "ct"
_LOW_PERCENT = 1.0
_HIGH_PERCENT = 99.5
_LABELLED_PERCENT = 99.0
_MAX_SAMPLE = 1 << 20  # voxels
# structures with a median below or above are seen in the window for lungs or bones
_AIR_HU = -300.0
_DENSE_HU = 200.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Intensities shown black (`low`) and white (`high`); `name` is "" for the image's own range."""

    low: float
    high: float
    name: str = ""

    @property
    def words(self) -> str:
        """Text for a caption: "soft-tissue window, -160 to 240 HU"; "" without a name."""
        if not self.name:
            return ""
        return f"{self.name} window, {self.low:g} to {self.high:g} HU"


SOFT_TISSUE = Window(low=-160, high=240, name="soft-tissue")
LUNG = Window(low=-1350, high=150, name="lung")
BONE = Window(low=-500, high=1300, name="bone")
BRAIN = Window(low=0, high=80, name="brain")
# patterns of words in the names of labels
_WORDS = (
    (LUNG, r"\b(lung|pulmon|airway|bronch|trachea|covid)"),
    (BONE, r"\b(bone|rib|vertebra|spine|femur|tibia|hip|skull|sternum|clavicle|scapula|humerus|sacrum|pelvis)"),
    (BRAIN, r"\b(brain|h(a)?emorrhage|h(a)?ematoma|stroke|infarct|ischemi|ischaemi|ich\b|gr[ae]y matter|white matter)"),
)


def window_of(
    image_xyz: NDArray[Any], label_xyz: NDArray[Any] | None, modality: str, names: Iterable[str] = ()
) -> Window:
    """The window for pictures of a case.

    Args:
        image_xyz: (X, Y, Z) intensities.
        label_xyz: label map on the same grid, if any.
        modality: ct, mr or other.
        names: of the labels, for CT.
    """
    labelled = None
    if label_xyz is not None and (label_xyz != 0).any():
        values = image_xyz[label_xyz != 0]
        labelled = values[:: max(1, values.size // _MAX_SAMPLE)]
    if modality == CT:
        chosen = _ct_window(labelled, names)
        if chosen is not None:
            return chosen
    return _own_range(image_xyz, labelled)


def _ct_window(labelled: NDArray[Any] | None, names: Iterable[str]) -> Window | None:
    """The window that shows the labelled voxels; None if there is none, as for values that are not Hounsfield units."""
    window = _window_by_names(names) or SOFT_TISSUE
    if labelled is None:
        return window
    median = float(np.median(labelled))
    if window is SOFT_TISSUE or not window.low < median < window.high:
        if median < _AIR_HU:
            window = LUNG
        elif median > _DENSE_HU:
            window = BONE
    return window if window.low < median < window.high else None


def _window_by_names(names: Iterable[str]) -> Window | None:
    """The window for all names with a known word; None if there is no such name or their windows differ."""
    windows = set()
    for name in names:
        text = name.lower().replace("_", " ")
        for window, pattern in _WORDS:
            if re.search(pattern, text):
                windows.add(window)
    return windows.pop() if len(windows) == 1 else None


def _own_range(image_xyz: NDArray[Any], labelled: NDArray[Any] | None) -> Window:
    step = max(1, math.ceil((image_xyz.size / _MAX_SAMPLE) ** (1 / 3)))
    sample = image_xyz[::step, ::step, ::step]
    shown = sample[sample != 0] if (sample != 0).any() else sample
    low, high = np.percentile(shown, (_LOW_PERCENT, _HIGH_PERCENT)).tolist()
    if low > 0 and (sample == 0).any():
        low = 0.0
    if labelled is not None:
        darkest, brightest = np.percentile(labelled, (100 - _LABELLED_PERCENT, _LABELLED_PERCENT)).tolist()
        low = min(low, darkest)
        high = max(high, brightest)
    return Window(low=low, high=high)
