"""How certain a prediction is: calibrated probabilities, and its expected Dice, for a person to review.

`mist-bundle calibrate` writes the temperature and the limits into configs/confidence.json. Without them nothing is
computed here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.calibration import ExpectedDice, scaled


class Confidence:
    """Scales the probabilities of a case, and sums up its expected Dice, while it is predicted.

    Args:
        calibration_path: configs/confidence.json; one that is missing, or has no temperature, switches this off.
        class_names: of the channels that are scored: all but the background, or the regions.
        exclusive: False for regions that may overlap.

    Raises:
        ValueError: the file holds something else.
    """

    def __init__(self, calibration_path: str, class_names: Sequence[str], exclusive: bool = True) -> None:
        self.class_names = list(class_names)
        self.exclusive = exclusive
        content = _read(Path(calibration_path))
        self.temperature: float | None = content.get("temperature")
        self.limits: dict[str, float] = content.get("review_below") or {}
        self._expected: ExpectedDice | None = None

    @property
    def is_known(self) -> bool:
        """Whether the bundle was calibrated."""
        return self.temperature is not None

    def begin(self) -> None:
        """A new case."""
        self._expected = None

    def add(self, probabilities: NDArray[Any]) -> NDArray[Any]:
        """Count a part (C, x, y, z) of the case; returns it calibrated."""
        if self.temperature is None:
            return probabilities
        calibrated = scaled(probabilities, self.temperature, exclusive=self.exclusive)
        if self._expected is None:
            self._expected = ExpectedDice(len(probabilities), exclusive=self.exclusive)
        self._expected.add(calibrated)
        return calibrated

    def expected_dice(self) -> dict[str, float]:
        """The expected Dice of each predicted class of the case."""
        if self._expected is None:
            return {}
        values = self._expected.dice()
        scores = {}
        for name, value in zip(self.class_names, values[-len(self.class_names) :], strict=True):
            if value is not None:
                scores[name] = round(value, 4)
        return scores

    def doubts(self) -> list[str]:
        """A sentence for each class whose expected Dice is lower than that of nearly all cases known."""
        sentences = []
        for name, value in self.expected_dice().items():
            limit = self.limits.get(name)
            if limit is not None and value < limit:
                sentences.append(
                    f"{name}: the expected Dice of this prediction is {value:.2f}, lower than for 19 of 20 cases of "
                    f"the cross-validation ({limit:.2f}); look at it."
                )
        return sentences


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}  # of a bundle that has no such file
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON: {error}.") from error
    temperature = content.get("temperature") if isinstance(content, dict) else ""
    if temperature is not None and not (isinstance(temperature, (int, float)) and np.isfinite(temperature)):
        raise ValueError(f"{path}: expected an object with a temperature; run calibrate again.")
    if temperature is not None and temperature <= 0:
        raise ValueError(f"{path}: temperature is {temperature}; expected more than 0. Run calibrate again.")
    found: dict[str, Any] = content
    return found
