"""Maps that can be written beside a label map: class probabilities and uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..numerics.scores_on_disk import ScoresOnDisk
from ..values import truth
from .records import UNCERTAINTY_MAPS


class ScoreMaps:
    """What an inferer hands to the transform that writes maps: the scores of the case that it has just predicted.

    Args:
        folder: of the label maps; scores wait in it until they are written.
        probabilities: write maps of probabilities.
        uncertainty: write maps of uncertainty; the inferer then puts their channels behind the classes.
    """

    def __init__(self, folder: str | Path, probabilities: bool = False, uncertainty: bool = False) -> None:
        self.folder = Path(folder)
        self.probabilities = truth(probabilities)
        self.uncertainty = truth(uncertainty)
        self._scores: ScoresOnDisk | None = None

    def begin(self, shape: Sequence[int], *grids: Any) -> ScoresOnDisk | None:
        """A place for the scores of a case (arguments of ScoresOnDisk); None where no map is to be written."""
        if self._scores is not None:  # of a case that failed
            self._scores.close()
            self._scores = None
        if self.probabilities or self.uncertainty:
            self._scores = ScoresOnDisk(self.folder, shape, *grids)
        return self._scores

    def kept(self, num_classes: int) -> slice:
        """The channels that are needed of the classes and the uncertainty behind them."""
        return slice(
            0 if self.probabilities else num_classes,
            num_classes + len(UNCERTAINTY_MAPS) if self.uncertainty else num_classes,
        )

    def take(self) -> ScoresOnDisk:
        """The scores of the case that was predicted last; whoever takes them closes them.

        Raises:
            ValueError: there are none.
        """
        if self._scores is None:
            raise ValueError("Maps can only be written right after a case was predicted by the bundle's own inferer.")
        scores, self._scores = self._scores, None
        return scores
