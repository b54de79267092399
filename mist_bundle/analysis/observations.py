"""What stands out in a data set, in plain words: what a colleague would say after an hour with the images.

Facts with their numbers, and what they mean for training; nothing here changes a decision of the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Report = Mapping[str, Any]

_ANISOTROPIC = 3.0 + 1e-6  # MIST's threshold for the coarsest axis; headers are rounded
_VARIED = 1.5  # largest to smallest voxel side along one axis over the cases
_OBLIQUE_DEGREES = 5.0
_FEW_CASES = 20
_CROP_PAYS = 0.2  # MIST's threshold
_MANY_NAMED = 5
_MANY_IN_PARTS = 3  # structures that have a sentence each


def observations(report: Report) -> list[str]:
    """Sentences about a data report (see `make_data_report`), the most general first."""
    return [sentence for look in _LOOKS for sentence in look(report)]


def _about_cases(report: Report) -> Iterator[str]:
    count, excluded = report["num_cases"], report["excluded"]
    if excluded:
        names = ", ".join(problem["path"] for problem in excluded[:_MANY_NAMED])
        more = f" and {len(excluded) - _MANY_NAMED} more" if len(excluded) > _MANY_NAMED else ""
        yield f"{len(excluded)} of {count + len(excluded)} cases cannot be used and were left out: {names}{more}."
    if count < _FEW_CASES:
        yield f"There are only {count} usable cases: scores will differ a lot between folds."


def _about_grid(report: Report) -> Iterator[str]:
    spacing = report["spacing_mm"]
    ratio = report["anisotropy"]["median"]
    if ratio > _ANISOTROPIC:
        coarse = max(spacing, key=lambda axis: spacing[axis]["median"])
        yield (
            f"Voxels are anisotropic: along {coarse} they are {ratio:.1f} times as long as along the finest axis "
            f"({spacing[coarse]['median']:.3g} mm in the median)."
        )
    varied = [axis for axis, stats in spacing.items() if stats["max"] > _VARIED * stats["min"]]
    if varied:
        ranges = "; ".join(f"{axis} {spacing[axis]['min']:.3g} to {spacing[axis]['max']:.3g} mm" for axis in varied)
        yield f"Spacing differs between cases ({ranges}); all are resampled to one."
    if len(report["orientations"]) > 1:
        kinds = ", ".join(f"{name} ({count})" for name, count in report["orientations"].items())
        yield f"Files are stored in several orientations: {kinds}. They are turned to one when they are read."
    if report["oblique_degrees"]["max"] > _OBLIQUE_DEGREES:
        yield f"Some scans are oblique, by up to {report['oblique_degrees']['max']:.0f} degrees."
    if report["crop_reduction"]["mean"] >= _CROP_PAYS:
        percent = 100 * report["crop_reduction"]["mean"]
        yield f"On average {percent:.0f} % of an image lies outside the box around its foreground."


def _about_structures(report: Report) -> Iterator[str]:
    for name, stats in report["structures"].items():
        if not stats["present_in"]:
            yield f"{name} occurs in no case: it cannot be learnt."
            continue
        if stats["presence_percent"] < 100:
            yield f"{name} occurs in {stats['present_in']} of {report['num_cases']} cases."
        if stats["size"] == "tiny":
            percent = stats["percent_of_image"]["mean"]
            yield f"{name} is tiny: {percent:.2g} % of an image that holds it. Patches have to be aimed at it."
        if stats["voxels_outside_crop"]:
            yield (
                f"{stats['voxels_outside_crop']} voxels of {name} lie outside the foreground box and would be lost "
                "if images are cropped to it."
            )
        yield from _about_shape(name, stats)


def _about_shape(name: str, stats: Mapping[str, Any]) -> Iterator[str]:
    if stats.get("kind") == "tubular":
        yield (
            f"{name} is tubular, like a vessel ({stats['shape']['inscribed_balls']['median']:.0f} times the volume of "
            "its largest inscribed ball): a loss that looks at the centreline (cldice) may keep it connected."
        )
    if stats.get("kind") == "sheet-like":
        yield f"{name} is a thin sheet: small shifts cost much Dice, so surface distances say more about it."


def _about_parts(report: Report) -> Iterator[str]:
    several = {name: stats for name, stats in report["structures"].items() if _median_parts(stats) > 1}
    if len(several) > _MANY_IN_PARTS:
        words = ", ".join(
            f"{name} ({stats['components']['median']:.0f} in the median case, up to {stats['components']['max']:.0f})"
            for name, stats in several.items()
        )
        yield f"Many structures have several parts: {words}."
        # classes of several labels hold the parts of their labels again
        slips = sum(stats["tiny_components"] for stats in several.values() if len(stats["labels"]) == 1)
        if slips:
            yield f"{slips} parts of single labels have three voxels or fewer: slips of the annotation?"
    for name, stats in report["structures"].items():
        if name not in several or len(several) <= _MANY_IN_PARTS:
            yield from _parts_of(name, stats)


def volume_words(mm3: float) -> str:
    """A volume as people say it: "12 mm³", "0.54 ml", "91 ml", "1.2 l"."""
    if mm3 < 100:
        return f"{mm3:.2g} mm³"
    return f"{mm3 / 1e6:.2g} l" if mm3 >= 1e6 else f"{float(f'{mm3 / 1000:.2g}'):g} ml"


def _median_parts(stats: Mapping[str, Any]) -> float:
    """Connected parts in the median case; a paired organ is one thing in two parts."""
    return 1.0 if stats.get("is_paired") else float((stats.get("components") or {}).get("median", 0))


def _parts_of(name: str, stats: Mapping[str, Any]) -> Iterator[str]:
    if stats.get("is_paired"):
        yield f"{name} is a paired organ: one part on the left and one on the right. Its shape is that of one part."
        return
    parts, tiny = stats.get("components"), stats.get("tiny_components")
    slips = f" ({tiny} parts in all have three voxels or fewer: slips of the annotation?)" if tiny else ""
    if parts and parts["median"] > 1:
        yield (
            f"{name} has several parts: {parts['median']:.0f} in the median case, up to {parts['max']:.0f}; half of "
            f"all are smaller than {volume_words(stats['component_mm3']['median'])}{slips}."
        )
    elif parts and parts["max"] > 1:
        yield f"{name} is in one piece in most cases, but in up to {parts['max']:.0f} pieces in some{slips}."


def _about_lesions(report: Report) -> Iterator[str]:
    several = [name for name, stats in report["structures"].items() if _median_parts(stats) > 1]
    if several:
        yield f"For {', '.join(several)}, lesion-wise metrics say more than the Dice of the whole."


def _about_balance(report: Report) -> Iterator[str]:
    balance = report["imbalance"]
    if balance["level"] != "none":
        yield (
            f"Class imbalance is {balance['level']}: the largest label has {balance['largest_to_smallest']:.1f} times "
            "the voxels of the smallest."
        )
    if balance["background_to_foreground"] is not None and balance["background_to_foreground"] > 100:
        yield f"There are {balance['background_to_foreground']:.0f} background voxels for each labelled one."


def _about_intensities(report: Report) -> Iterator[str]:
    for name, channel in report["channels"].items():
        if report["modality"] == "ct" and channel["minimum"]["min"] > -200:
            yield (
                f"{name} is called CT, but no voxel is below {channel['minimum']['min']:.0f}: air should be near -1000 "
                "Hounsfield units. Were the values rescaled?"
            )
        highs = channel["high"]
        if report["modality"] != "ct" and highs["min"] > 0 and highs["max"] > 10 * highs["min"]:
            yield (
                f"The brightness of {name} differs {highs['max'] / highs['min']:.0f}-fold between cases; each image is "
                "normalised by itself."
            )


_LOOKS: tuple[Callable[[Report], Iterator[str]], ...] = (
    _about_cases,
    _about_grid,
    _about_structures,
    _about_parts,
    _about_lesions,
    _about_balance,
    _about_intensities,
)
