"""Which intensities a picture shows black and which white, so that what is labelled can be seen.

CT has the windows that radiologists use, chosen by what is labelled: names first ("lung", "rib", "haemorrhage"), then
the Hounsfield units inside. Other images have a robust range of their own, wide enough for what is labelled: a lesion
that is brighter than all the rest is not clipped to white.
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
_LOW_PERCENT, _HIGH_PERCENT, _LABELLED_PERCENT = 1.0, 99.5, 99.0
_MAX_SAMPLE = 1 << 20  # voxels that are looked at
_AIR_HU, _DENSE_HU = -300.0, 200.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Intensities shown black (`low`) and white (`high`); `name` is empty where it is the image's own range."""

    low: float
    high: float
    name: str = ""

    @property
    def words(self) -> str:
        """For a caption: "soft-tissue window, -160 to 240 HU"; empty where it has no name."""
        return f"{self.name} window, {self.low:g} to {self.high:g} HU" if self.name else ""


SOFT_TISSUE = Window(low=-160, high=240, name="soft-tissue")
LUNG = Window(low=-1350, high=150, name="lung")
BONE = Window(low=-500, high=1300, name="bone")
BRAIN = Window(low=0, high=80, name="brain")
# whole words, or beginnings of words, in names of labels and of the task
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
        label_xyz: label map on the same grid; None where there is none.
        modality: ct, mr or other.
        names: what is labelled, for CT.
    """
    labelled = None if label_xyz is None else image_xyz[label_xyz != 0]
    labelled = None if labelled is None or labelled.size == 0 else labelled[:: max(1, labelled.size // _MAX_SAMPLE)]
    if modality == CT:
        chosen = _ct_window(labelled, names)
        if chosen is not None:
            return chosen
    return _own_range(image_xyz, labelled)


def _ct_window(labelled: NDArray[Any] | None, names: Iterable[str]) -> Window | None:
    """None where what is labelled would not be seen in any of them, as when the values are no Hounsfield units."""
    chosen = _by_names(names) or SOFT_TISSUE
    if labelled is None:
        return chosen
    middle = float(np.median(labelled))
    if not chosen.low < middle < chosen.high or chosen is SOFT_TISSUE:
        chosen = LUNG if middle < _AIR_HU else BONE if middle > _DENSE_HU else chosen
    return chosen if chosen.low < middle < chosen.high else None


def _by_names(names: Iterable[str]) -> Window | None:
    """The window that all names with a known word share; None where they differ or none has one."""
    text = [name.lower().replace("_", " ") for name in names]
    found = {window for window, words in _WORDS for name in text if re.search(words, name)}
    return found.pop() if len(found) == 1 else None


def _own_range(image_xyz: NDArray[Any], labelled: NDArray[Any] | None) -> Window:
    step = max(1, math.ceil((image_xyz.size / _MAX_SAMPLE) ** (1 / 3)))
    sample = image_xyz[::step, ::step, ::step]
    shown = sample[sample != 0] if (sample != 0).any() else sample
    low, high = (float(value) for value in np.percentile(shown, (_LOW_PERCENT, _HIGH_PERCENT)))
    if low > 0 and (sample == 0).any():
        low = 0.0
    if labelled is not None:
        inside = np.percentile(labelled, (100 - _LABELLED_PERCENT, _LABELLED_PERCENT))
        low, high = min(low, float(inside[0])), max(high, float(inside[1]))
    return Window(low=low, high=high)
