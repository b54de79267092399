"""Put the expected Dice of a case into its record, and its doubts into the warnings."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.transforms import Transform

from ..predictions.confidence import Confidence
from ..predictions.records import Predictions
from ..predictions.say import say


class RecordConfidenced(Transform):
    """Right after a case was predicted, before its label map is written.

    Args:
        confidence: what the inferer has summed up.
        predictions: keep the records.
        id_key: entry of the case with its name.
    """

    def __init__(self, confidence: Confidence, predictions: Predictions, id_key: str = "id") -> None:
        self.confidence = confidence
        self.predictions = predictions
        self.id_key = id_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The dictionary of the case stays as it is."""
        if self.confidence.is_known and self.id_key in data:
            case = str(data[self.id_key])
            self.predictions.expect(case, self.confidence.expected_dice())
            for sentence in self.confidence.doubts():
                say(f"warning: {case}: {sentence}")
        return dict(data)
