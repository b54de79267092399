"""The metrics: a row for each holds all that is known about it, for people and for the program.

The table needs nothing but the standard library, so a command that lists metrics or checks their names starts at once.
The functions stand in overlap.py, surface.py and lesions.py; a new metric is a row here and a function there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..wording import nearest

HIGHER, LOWER = "higher", "lower"
COUNTS, DISTANCES, LESIONS = "counts", "distances", "lesions"
# stands for the diagonal of the image in mm, the worst value of a distance
DIAGONAL = math.inf

_MATCHING = ("protocol", "min_volume_mm3", "dilation", "consolidation", "connectivity", "small_false_positives")
_DICE = "Dice, Ecology 1945, doi:10.2307/1932409"
_SURFACE_DICE = "Nikolov et al., JMIR 2021, doi:10.2196/26151"
_HAUSDORFF = "Huttenlocher et al., PAMI 1993, doi:10.1109/34.232073"
_ASSD = "Heimann et al., TMI 2009, doi:10.1109/TMI.2009.2013851"
_RELOADED = "Maier-Hein et al., Nature Methods 2024, doi:10.1038/s41592-023-02151-z"
_LESIONS = "Moawad et al., BraTS-METS 2023, arXiv:2306.00838"


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricRow:
    """A metric.

    Attributes:
        function: module and name of the function in this package, such as "overlap.dice".
        of: what the function takes: "counts" of voxels, "distances" between surfaces, or "lesions".
        about: a line for people.
        best: value of a perfect prediction.
        worst: value of a useless prediction; infinity stands for the image's diagonal in mm, None for no bound.
        unit: of the value; empty for a ratio.
        cite: where it comes from.
        aliases: other names that are understood.
        options: names of the keyword arguments of the function that may be set.
        defined_for_one_empty: whether the function has a value where a single mask is empty.
        defined_for_both_empty: whether it has a value where both masks are empty.
    """

    function: str
    of: str
    about: str
    best: float = 1.0
    worst: float | None = 0.0
    unit: str = ""
    cite: str = ""
    aliases: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    defined_for_one_empty: bool = False
    defined_for_both_empty: bool = False

    @property
    def better(self) -> str:
        """The direction in which to rank: "higher" or "lower"."""
        return HIGHER if self.best > 0 else LOWER

    def worst_value(self, diagonal_mm: float) -> float | None:
        """The worst value in an image of this diagonal; None where there is no bound."""
        return diagonal_mm if self.worst == DIAGONAL else self.worst


# What rows have in common; each row below names its function and what else is its own.
_OVERLAP = MetricRow(function="", of=COUNTS, about="", cite=_RELOADED)
_DISTANCE = MetricRow(function="", of=DISTANCES, about="", best=0.0, worst=DIAGONAL, unit="mm", cite=_HAUSDORFF)
_SURFACE_SHARE = MetricRow(function="surface.surface_dice", of=DISTANCES, about="", options=("tolerance_mm",))
_LESION_SCORE = MetricRow(
    function="", of=LESIONS, about="", cite=_LESIONS, options=_MATCHING, defined_for_one_empty=True
)
_LESION_COUNT = replace(_LESION_SCORE, best=0.0, worst=None, unit="lesions", defined_for_both_empty=True)

METRICS: Mapping[str, MetricRow] = {
    "dice": replace(
        _OVERLAP,
        function="overlap.dice",
        about="Twice the shared volume over the sum of both (default).",
        cite=_DICE,
    ),
    "iou": replace(
        _OVERLAP,
        function="overlap.iou",
        about="Shared volume over the volume of either.",
        cite="Jaccard, New Phytologist 1912, doi:10.1111/j.1469-8137.1912.tb05611.x",
        aliases=("jaccard",),
    ),
    "sensitivity": replace(
        _OVERLAP,
        function="overlap.sensitivity",
        about="The part of the reference that is covered by the prediction.",
        aliases=("recall",),
    ),
    "precision": replace(_OVERLAP, function="overlap.precision", about="The part of the prediction that is right."),
    "volume_difference": replace(
        _OVERLAP,
        function="overlap.volume_difference",
        about="How much the volume is off, too large or too small.",
        best=0.0,
        worst=None,
        unit="ml",
        cite=_ASSD,
        defined_for_one_empty=True,
        defined_for_both_empty=True,
    ),
    "hd95": replace(
        _DISTANCE,
        function="surface.hd95",
        about="95th percentile of the surface distances (default).",
        aliases=("haus95",),
    ),
    "hausdorff": replace(
        _DISTANCE, function="surface.hausdorff", about="The largest surface distance.", aliases=("hd",)
    ),
    "surface_dice": replace(
        _SURFACE_SHARE,
        about="The part of both surfaces within a tolerance (1 mm) of the other.",
        cite=_SURFACE_DICE,
        aliases=("surf_dice",),
    ),
    "normalized_surface_distance": replace(
        _SURFACE_SHARE,
        about="The Decathlon's name of the surface Dice; its tolerance can be set apart.",
        cite="Antonelli et al., Nature Communications 2022, doi:10.1038/s41467-022-30695-9",
        aliases=("nsd", "normalised_surface_distance"),
    ),
    "average_surface_distance": replace(
        _DISTANCE,
        function="surface.average_surface_distance",
        about="Mean distance of both surfaces; with symmetric=false from the prediction to the reference.",
        cite=_ASSD,
        aliases=("asd", "avg_surf"),
        options=("symmetric",),
    ),
    "average_symmetric_surface_distance": replace(
        _DISTANCE,
        function="surface.average_surface_distance",
        about="Mean distance of both surfaces.",
        cite=_ASSD,
        aliases=("assd",),
    ),
    "lesion_dice": replace(
        _LESION_SCORE,
        function="lesions.lesion_dice",
        about="Dice, lesion by lesion; missed lesions and false positives count 0.",
        aliases=("lesion_wise_dice",),
    ),
    "lesion_hd95": replace(
        _LESION_SCORE,
        function="lesions.lesion_hd95",
        about="HD95, lesion by lesion; missed lesions and false positives count the image's diagonal.",
        best=0.0,
        worst=DIAGONAL,
        unit="mm",
        aliases=("lesion_wise_haus95",),
    ),
    "lesion_surface_dice": replace(
        _LESION_SCORE,
        function="lesions.lesion_surface_dice",
        about="Surface Dice, lesion by lesion.",
        aliases=("lesion_wise_surf_dice",),
        options=("tolerance_mm", *_MATCHING),
    ),
    "lesion_f1": replace(
        _LESION_SCORE,
        function="lesions.lesion_f1",
        about="How well lesions are detected, whatever their outline.",
        aliases=("lesion_wise_f1",),
    ),
    "lesion_false_positives": replace(
        _LESION_COUNT, function="lesions.lesion_false_positives", about="Predicted lesions that are none."
    ),
    "lesion_false_negatives": replace(
        _LESION_COUNT, function="lesions.lesion_false_negatives", about="Lesions that were missed."
    ),
}
DEFAULT_METRICS = ("dice", "hd95")


def _aliases() -> dict[str, str]:
    names = {}
    for name, row in METRICS.items():
        for alias in row.aliases:
            names[alias] = name
    return names


ALIASES = _aliases()


def metric_name(name: str) -> str:
    """The name on the menu of a metric that may be called by an alias; unknown names stay as they are."""
    return ALIASES.get(name, name)


def unknown_metrics(names: Sequence[str]) -> list[str]:
    """A sentence for each name that is not a metric, with the nearest metric."""
    findings = []
    for name in names:
        if metric_name(name) not in METRICS:
            near = nearest(name, [*METRICS, *ALIASES], cutoff=0.6)
            hint = f" Did you mean {near!r}?" if near else ""
            findings.append(f"{name!r} is not a metric; known: {', '.join(METRICS)}.{hint}")
    return findings
