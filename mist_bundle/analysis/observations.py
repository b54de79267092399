"""Observations about a dataset in plain words, as a colleague would make them after an hour with the images.

They state facts with their numbers and the consequences for training. They never change a decision of the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mist_bundle.runtime.wording import list_names

Report = Mapping[str, Any]

_ANISOTROPIC = 3.0 + 1e-6  # MIST's threshold for the coarsest axis; headers are rounded
_VARIED = 1.5  # ratio of the largest to the smallest spacing along an axis over the cases
_OBLIQUE_DEGREES = 5.0
_FEW_CASES = 20
_CROP_PAYS = 0.2  # MIST's threshold
_MANY_IN_PARTS = 3  # structures in several parts; more of them share a sentence
_MANY_BACKGROUND_VOXELS = 100  # for each labelled voxel
_NO_AIR_HU = -200


def observations(report: Report) -> list[str]:
    """Sentences about a data report (see `make_data_report`), the most general first."""
    sentences: list[str] = []
    for observe in _OBSERVERS:
        sentences += observe(report)
    return sentences


def _about_cases(report: Report) -> Iterator[str]:
    count = report["num_cases"]
    excluded = [problem["path"] for problem in report["excluded"]]
    if excluded:
        total = count + len(excluded)
        yield f"{len(excluded)} of {total} cases cannot be used and were left out: {list_names(excluded)}."
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
    ranges = []
    for axis, stats in spacing.items():
        if stats["max"] > _VARIED * stats["min"]:
            ranges.append(f"{axis} {stats['min']:.3g} to {stats['max']:.3g} mm")
    if ranges:
        yield f"Spacing differs between cases ({'; '.join(ranges)}); all are resampled to the same spacing."
    orientations = report["orientations"]
    if len(orientations) > 1:
        kinds = ", ".join(f"{name} ({count})" for name, count in orientations.items())
        yield f"Files are stored in several orientations: {kinds}. They are reoriented when they are read."
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
            yield f"{name} is tiny: {percent:.2g} % of the images that show it. Patches must be centred on it."
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
            "its largest inscribed ball): a centreline loss (cldice) may keep it connected."
        )
    if stats.get("kind") == "sheet-like":
        yield f"{name} is a thin sheet: small shifts lower its Dice a lot, so surface distances are more informative."


def _about_parts(report: Report) -> Iterator[str]:
    in_parts = _structures_in_parts(report)
    if len(in_parts) <= _MANY_IN_PARTS:
        for name, stats in report["structures"].items():
            yield from _parts_of(name, stats)
        return
    descriptions = []
    tiny_parts = 0
    for name in in_parts:
        stats = report["structures"][name]
        parts = stats["components"]
        descriptions.append(f"{name} ({parts['median']:.0f} in the median case, up to {parts['max']:.0f})")
        if len(stats["labels"]) == 1:  # classes of several labels contain the parts of their labels again
            tiny_parts += stats["tiny_components"]
    yield f"Many structures have several parts: {', '.join(descriptions)}."
    if tiny_parts:
        yield f"{tiny_parts} parts of single labels have three voxels or fewer: annotation errors?"
    for name, stats in report["structures"].items():
        if name not in in_parts:
            yield from _parts_of(name, stats)


def volume_words(mm3: float) -> str:
    """A volume in a readable unit: "12 mm³", "0.54 ml", "91 ml", "1.2 l"."""
    if mm3 < 100:
        return f"{mm3:.2g} mm³"
    if mm3 >= 1e6:
        return f"{mm3 / 1e6:.2g} l"
    millilitres = float(f"{mm3 / 1000:.2g}")
    return f"{millilitres:g} ml"


def _structures_in_parts(report: Report) -> list[str]:
    """Structures with several connected parts in the median case; the two parts of a paired organ do not count."""
    names = []
    for name, stats in report["structures"].items():
        parts = stats.get("components")
        if parts and parts["median"] > 1 and not stats.get("is_paired"):
            names.append(name)
    return names


def _parts_of(name: str, stats: Mapping[str, Any]) -> Iterator[str]:
    if stats.get("is_paired"):
        yield f"{name} is a paired organ with a left and a right part. Its shape is measured on the larger part."
        return
    parts = stats.get("components")
    if not parts:
        return
    tiny = stats["tiny_components"]
    tiny_words = f" ({tiny} parts in total have three voxels or fewer: annotation errors?)" if tiny else ""
    if parts["median"] > 1:
        median_volume = volume_words(stats["component_mm3"]["median"])
        yield (
            f"{name} has several parts: {parts['median']:.0f} in the median case, up to {parts['max']:.0f}; half of "
            f"them are smaller than {median_volume}{tiny_words}."
        )
    elif parts["max"] > 1:
        yield f"{name} is a single piece in most cases, but up to {parts['max']:.0f} pieces in some{tiny_words}."


def _about_sides(report: Report) -> Iterator[str]:
    for pair in report["sides"]:
        yield pair["sentence"]


def _about_lesions(report: Report) -> Iterator[str]:
    in_parts = _structures_in_parts(report)
    if in_parts:
        yield f"For {', '.join(in_parts)}, lesion-wise metrics are more informative than the overall Dice."


def _about_balance(report: Report) -> Iterator[str]:
    balance = report["imbalance"]
    if balance["level"] != "none":
        yield (
            f"Class imbalance is {balance['level']}: the largest label has {balance['largest_to_smallest']:.1f} times "
            "the voxels of the smallest."
        )
    background = balance["background_to_foreground"]
    if background is not None and background > _MANY_BACKGROUND_VOXELS:
        yield f"There are {background:.0f} background voxels for each labelled voxel."


def _about_intensities(report: Report) -> Iterator[str]:
    for name, channel in report["channels"].items():
        lowest = channel["minimum"]["min"]
        highs = channel["high"]
        if report["modality"] == "ct":
            if lowest > _NO_AIR_HU:
                yield (
                    f"{name} is listed as CT, but no voxel is below {lowest:.0f}: air should be near -1000 Hounsfield "
                    "units. Were the values rescaled?"
                )
        elif highs["min"] > 0 and highs["max"] > 10 * highs["min"]:
            ratio = highs["max"] / highs["min"]
            yield (
                f"The brightness of {name} differs {ratio:.0f}-fold between cases; each image is normalised separately."
            )


_OBSERVERS: tuple[Callable[[Report], Iterator[str]], ...] = (
    _about_cases,
    _about_grid,
    _about_structures,
    _about_parts,
    _about_sides,
    _about_lesions,
    _about_balance,
    _about_intensities,
)
