"""The metrics on the menu: what each means to a person. How they are computed stands in runtime/metrics.

The worst value is what a class counts that only one of the two label maps has; it also sets the scale on which a change
is weighed against changes of other metrics.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

HIGHER, LOWER = "higher", "lower"

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
        target: dotted path of the function that computes it.
        about: one line for people.
        better: "higher" or "lower".
        best: value of a perfect prediction.
        worst: value of a useless one: a number, "diagonal" (of the image, in mm), or "" where there is no bound.
        unit: of the value; empty for a ratio.
        needs: what is computed for it: "counts" of voxels, "distances" between surfaces, or "lesions".
        cite: where it comes from.
        aliases: other names that are understood.
    """

    target: str
    about: str
    better: str = HIGHER
    best: float = 1.0
    worst: float | str = 0.0
    unit: str = ""
    needs: str = "counts"
    cite: str = ""
    aliases: tuple[str, ...] = ()


def _distance(name: str, about: str, cite: str, *aliases: str) -> MetricRow:
    return MetricRow(
        target=f"scripts.metrics.surface.{name}",
        about=about,
        better=LOWER,
        best=0.0,
        worst="diagonal",
        unit="mm",
        needs="distances",
        cite=cite,
        aliases=aliases,
    )


def _lesion_count(name: str, about: str) -> MetricRow:
    target = f"scripts.metrics.lesions.{name}"
    return MetricRow(
        target=target, about=about, better=LOWER, best=0.0, worst="", unit="lesions", needs="lesions", cite=_LESIONS
    )


METRICS: dict[str, MetricRow] = {
    "dice": MetricRow(
        target="scripts.metrics.overlap.dice",
        about="Twice the shared volume over the sum of both (default).",
        cite=_DICE,
    ),
    "iou": MetricRow(
        target="scripts.metrics.overlap.iou",
        about="Shared volume over the volume of either.",
        cite="Jaccard, New Phytologist 1912, doi:10.1111/j.1469-8137.1912.tb05611.x",
        aliases=("jaccard",),
    ),
    "sensitivity": MetricRow(
        target="scripts.metrics.overlap.sensitivity",
        about="The part of the reference that was found.",
        cite=_RELOADED,
        aliases=("recall",),
    ),
    "precision": MetricRow(
        target="scripts.metrics.overlap.precision", about="The part of the prediction that is right.", cite=_RELOADED
    ),
    "volume_difference": MetricRow(
        target="scripts.metrics.overlap.volume_difference",
        about="How much the volume is off, too large or too small.",
        better=LOWER,
        best=0.0,
        worst="",
        unit="ml",
        cite=_ASSD,
    ),
    "hd95": _distance("hd95", "95th percentile of the surface distances (default).", _HAUSDORFF, "haus95"),
    "hausdorff": _distance("hausdorff", "The largest surface distance.", _HAUSDORFF, "hd"),
    "surface_dice": MetricRow(
        target="scripts.metrics.surface.surface_dice",
        about="The part of both surfaces within a tolerance (1 mm) of the other.",
        needs="distances",
        cite=_SURFACE_DICE,
        aliases=("surf_dice",),
    ),
    "normalized_surface_distance": MetricRow(
        target="scripts.metrics.surface.normalized_surface_distance",
        about="The Decathlon's name of the surface Dice; its tolerance can be set apart.",
        needs="distances",
        cite="Antonelli et al., Nature Communications 2022, doi:10.1038/s41467-022-30695-9",
        aliases=("nsd", "normalised_surface_distance"),
    ),
    "average_surface_distance": _distance(
        "average_surface_distance",
        "Mean distance of both surfaces; with symmetric=false from the prediction to the reference.",
        _ASSD,
        *("asd", "avg_surf"),
    ),
    "average_symmetric_surface_distance": _distance(
        "average_symmetric_surface_distance", "Mean distance of both surfaces.", _ASSD, "assd"
    ),
    "lesion_dice": MetricRow(
        target="scripts.metrics.lesions.lesion_dice",
        about="Dice, lesion by lesion; missed and invented lesions count 0.",
        needs="lesions",
        cite=_LESIONS,
        aliases=("lesion_wise_dice",),
    ),
    "lesion_hd95": MetricRow(
        target="scripts.metrics.lesions.lesion_hd95",
        about="HD95, lesion by lesion; missed and invented lesions count the image's diagonal.",
        better=LOWER,
        best=0.0,
        worst="diagonal",
        unit="mm",
        needs="lesions",
        cite=_LESIONS,
        aliases=("lesion_wise_haus95",),
    ),
    "lesion_surface_dice": MetricRow(
        target="scripts.metrics.lesions.lesion_surface_dice",
        about="Surface Dice, lesion by lesion.",
        needs="lesions",
        cite=_LESIONS,
        aliases=("lesion_wise_surf_dice",),
    ),
    "lesion_f1": MetricRow(
        target="scripts.metrics.lesions.lesion_f1",
        about="How well lesions are detected, whatever their outline.",
        needs="lesions",
        cite=_LESIONS,
        aliases=("lesion_wise_f1",),
    ),
    "lesion_false_positives": _lesion_count("lesion_false_positives", "Predicted lesions that are none."),
    "lesion_false_negatives": _lesion_count("lesion_false_negatives", "Lesions that were missed."),
}
DEFAULT_METRICS = ("dice", "hd95")
_ALIASES = {alias: name for name, row in METRICS.items() for alias in row.aliases}


def metric_name(name: str) -> str:
    """The name on the menu of a metric that may be called by an alias; unknown names stay as they are."""
    return _ALIASES.get(name, name)


def metric_of_column(column: str) -> str | None:
    """The metric of a column `<class>_<metric>`: the longest name or alias that fits; None where none does."""
    fitting = [name for name in (*METRICS, *_ALIASES) if column.endswith(f"_{name}")]
    longest = max(fitting, key=len, default=None)
    return None if longest is None else metric_name(longest)


def unknown_metrics(names: Sequence[str]) -> list[str]:
    """One sentence for each name that is no metric, with the nearest that is."""
    findings = []
    for name in names:
        if metric_name(name) not in METRICS:
            near = difflib.get_close_matches(name, [*METRICS, *_ALIASES], n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            findings.append(f"{name!r} is no metric; known: {', '.join(METRICS)}.{hint}")
    return findings
