"""Decisions about intensities: normalisation, windows and bias field correction. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mist_bundle.planning import rules
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.recipes import CHOSEN, OFF, Recipe

if TYPE_CHECKING:
    from mist_bundle.analysis.fingerprint import Fingerprint
    from mist_bundle.dataset.spec import DatasetSpec
    from mist_bundle.planning.options import PlanOptions


def decide_intensity(
    spec: DatasetSpec, fingerprint: Fingerprint, options: PlanOptions, recipe: Recipe
) -> dict[str, Any]:
    """Decide how intensities are normalised; the result holds these fields of a Plan by name."""
    fractions: list[float] = []
    for case in fingerprint.cases:
        fractions += case.nonzero_fraction
    nonzero = rules.decide_nonzero(fractions, recipe.nonzero_ratio)
    windows: Decision[tuple[Mapping[str, float], ...]]
    if options.skip_preprocessing:
        mode = Decision("none", "The user skips preprocessing.")
        nonzero = Decision(False, mode.because)
        windows = Decision((), mode.because)
    elif spec.modality == "ct":
        mode = Decision("dataset", "CT: 0.5 and 99.5 percentile, mean and standard deviation of all labelled voxels.")
        nonzero = Decision(False, "CT is normalised over the whole dataset.")
        measured = tuple(_intensity_window(fingerprint, channel) for channel in range(spec.num_channels))
        windows = Decision(measured, "Measured over the labelled voxels of all cases, per channel.")
    else:
        mode = Decision("per_image", f"{spec.modality.upper()}: each image by its own 0.5 and 99.5 percentile.")
        windows = Decision((), "Nothing is stored: each image is measured when it is preprocessed.")
    bias = Decision(options.bias_correction, CHOSEN if options.bias_correction else OFF)
    return {
        "normalization": mode,
        "intensity_windows": windows,
        "normalize_nonzero": nonzero,
        "bias_correction": bias,
    }


def _intensity_window(fingerprint: Fingerprint, channel: int) -> dict[str, float]:
    properties = fingerprint.intensity_properties(channel)
    return {name: round(properties[name], 6) for name in ("low", "high", "mean", "std")}
