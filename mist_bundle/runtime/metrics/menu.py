"""The metrics: one row for each holds all that is known of it, for people and for the program.

The table needs nothing but the standard library, so a command that lists metrics or checks their names starts at once.
The functions stand in overlap.py, surface.py and lesions.py; a new metric is a row here and a function there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..values import nearest

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
    """One metric.

    Attributes:
        function: module and name of the function in this package, such as "overlap.dice".
        of: what the function takes: "counts" of voxels, "distances" between surfaces, or "lesions".
        about: one line for people.
        best: value of a perfect prediction.
        worst: value of a useless one; infinity stands for the image's diagonal in mm, None for a value without a bound.
        unit: of the value; empty for a ratio.
        cite: where it comes from.
        aliases: other names that are understood.
        options: names of the keyword arguments of the function that may be set.
        defined_for_one_empty: whether the function has a value where only one of the masks has voxels.
        defined_for_both_empty: whether it has one where neither has.
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


def _distance(function: str, about: str, cite: str, *aliases: str, options: tuple[str, ...] = ()) -> MetricRow:
    return MetricRow(
        function=f"surface.{function}",
        of=DISTANCES,
        about=about,
        best=0.0,
        worst=DIAGONAL,
        unit="mm",
        cite=cite,
        aliases=aliases,
        options=options,
    )


def _lesion_score(function: str, about: str, *aliases: str, options: tuple[str, ...] = ()) -> MetricRow:
    return MetricRow(
        function=f"lesions.{function}",
        of=LESIONS,
        about=about,
        cite=_LESIONS,
        aliases=aliases,
        options=(*options, *_MATCHING),
        defined_for_one_empty=True,
    )


def _lesion_count(function: str, about: str) -> MetricRow:
    return MetricRow(
        function=f"lesions.{function}",
        of=LESIONS,
        about=about,
        best=0.0,
        worst=None,
        unit="lesions",
        cite=_LESIONS,
        options=_MATCHING,
        defined_for_one_empty=True,
        defined_for_both_empty=True,
    )


METRICS: Mapping[str, MetricRow] = {
    "dice": MetricRow(
        function="overlap.dice",
        of=COUNTS,
        about="Twice the shared volume over the sum of both (default).",
        cite=_DICE,
    ),
    "iou": MetricRow(
        function="overlap.iou",
        of=COUNTS,
        about="Shared volume over the volume of either.",
        cite="Jaccard, New Phytologist 1912, doi:10.1111/j.1469-8137.1912.tb05611.x",
        aliases=("jaccard",),
    ),
    "sensitivity": MetricRow(
        function="overlap.sensitivity",
        of=COUNTS,
        about="The part of the reference that was found.",
        cite=_RELOADED,
        aliases=("recall",),
    ),
    "precision": MetricRow(
        function="overlap.precision", of=COUNTS, about="The part of the prediction that is right.", cite=_RELOADED
    ),
    "volume_difference": MetricRow(
        function="overlap.volume_difference",
        of=COUNTS,
        about="How much the volume is off, too large or too small.",
        best=0.0,
        worst=None,
        unit="ml",
        cite=_ASSD,
        defined_for_one_empty=True,
        defined_for_both_empty=True,
    ),
    "hd95": _distance("hd95", "95th percentile of the surface distances (default).", _HAUSDORFF, "haus95"),
    "hausdorff": _distance("hausdorff", "The largest surface distance.", _HAUSDORFF, "hd"),
    "surface_dice": MetricRow(
        function="surface.surface_dice",
        of=DISTANCES,
        about="The part of both surfaces within a tolerance (1 mm) of the other.",
        cite=_SURFACE_DICE,
        aliases=("surf_dice",),
        options=("tolerance_mm",),
    ),
    "normalized_surface_distance": MetricRow(
        function="surface.surface_dice",
        of=DISTANCES,
        about="The Decathlon's name of the surface Dice; its tolerance can be set apart.",
        cite="Antonelli et al., Nature Communications 2022, doi:10.1038/s41467-022-30695-9",
        aliases=("nsd", "normalised_surface_distance"),
        options=("tolerance_mm",),
    ),
    "average_surface_distance": _distance(
        "average_surface_distance",
        "Mean distance of both surfaces; with symmetric=false from the prediction to the reference.",
        _ASSD,
        *("asd", "avg_surf"),
        options=("symmetric",),
    ),
    "average_symmetric_surface_distance": _distance(
        "average_surface_distance", "Mean distance of both surfaces.", _ASSD, "assd"
    ),
    "lesion_dice": _lesion_score(
        "lesion_dice", "Dice, lesion by lesion; missed and invented lesions count 0.", "lesion_wise_dice"
    ),
    "lesion_hd95": MetricRow(
        function="lesions.lesion_hd95",
        of=LESIONS,
        about="HD95, lesion by lesion; missed and invented lesions count the image's diagonal.",
        best=0.0,
        worst=DIAGONAL,
        unit="mm",
        cite=_LESIONS,
        aliases=("lesion_wise_haus95",),
        options=_MATCHING,
        defined_for_one_empty=True,
    ),
    "lesion_surface_dice": _lesion_score(
        "lesion_surface_dice",
        "Surface Dice, lesion by lesion.",
        "lesion_wise_surf_dice",
        options=("tolerance_mm",),
    ),
    "lesion_f1": _lesion_score("lesion_f1", "How well lesions are detected, whatever their outline.", "lesion_wise_f1"),
    "lesion_false_positives": _lesion_count("lesion_false_positives", "Predicted lesions that are none."),
    "lesion_false_negatives": _lesion_count("lesion_false_negatives", "Lesions that were missed."),
}
DEFAULT_METRICS = ("dice", "hd95")
ALIASES = {alias: name for name, row in METRICS.items() for alias in row.aliases}


def metric_name(name: str) -> str:
    """The name on the menu of a metric that may be called by an alias; unknown names stay as they are."""
    return ALIASES.get(name, name)


def unknown_metrics(names: Sequence[str]) -> list[str]:
    """One sentence for each name that is no metric, with the nearest that is."""
    findings = []
    for name in names:
        if metric_name(name) not in METRICS:
            near = nearest(name, [*METRICS, *ALIASES], cutoff=0.6)
            hint = f" Did you mean {near!r}?" if near else ""
            findings.append(f"{name!r} is no metric; known: {', '.join(METRICS)}.{hint}")
    return findings
