"""How far the probabilities of a bundle can be trusted, measured on the held-out cases of its cross-validation.

A temperature is fitted (Guo et al., ICML 2017) on voxels of cases that their fold has not seen. The calibration errors
that are reported are those of each fold with the temperature of the *others*, so that nothing is measured on what it
was fitted to.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.evaluation.choose_postprocessing import HeldOut
from mist_bundle.parallel import map_cases
from mist_bundle.runtime.numerics.calibration import ExpectedDice, scaled
from mist_bundle.runtime.numerics.crop import bounding_box

BINS = 15
_VOXELS_PER_CASE = 20_000
_MARGIN_VOXELS = 5
_LIMITS = (0.05, 20.0)  # of the temperature
_REVIEW_QUANTILE = 0.05
_SMALLEST = 1e-12
Voxels = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """What the channels of a network mean.

    Attributes:
        names: of the channels that are scored.
        members: label values of each channel, the background's first where the channels exclude each other.
        exclusive: whether the channels exclude each other.
        ignore_label: value in the reference of voxels that do not count.
    """

    names: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]
    exclusive: bool
    ignore_label: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseVoxels:
    """Some voxels of a case around what is labelled or predicted.

    Attributes:
        id: of the case.
        fold: that held it out.
        probabilities: (C, voxels).
        truth: (C, voxels) of 0 and 1.
        files: its map of probabilities and its reference.
    """

    id: str
    fold: int
    probabilities: Voxels
    truth: NDArray[np.bool_]
    files: tuple[Path, Path]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """Voxels of about the same confidence: their mean confidence, how many of them are right, and their share."""

    confidence: float
    accuracy: float
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedAndTrue:
    """The expected Dice of a prediction, and its true Dice."""

    id: str
    fold: int
    expected: dict[str, float]
    true: dict[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """The temperature and the evidence for it.

    Attributes:
        temperature: fitted on all folds.
        error_before: expected calibration error of the probabilities as they are, from 0 to 1.
        error_after: that of each fold with the temperature of the others.
        before: reliability of the probabilities as they are.
        after: that with the temperatures of the others.
        cases: expected and true Dice, with the temperatures of the others.
        num_voxels: that were looked at.
    """

    temperature: float
    error_before: float
    error_after: float
    before: tuple[Bin, ...]
    after: tuple[Bin, ...]
    cases: tuple[ExpectedAndTrue, ...]
    num_voxels: int

    def to_json(self) -> dict[str, Any]:
        """The content of confidence.json in the bundle: what prediction needs, and figures for the card."""
        return {
            "temperature": round(self.temperature, 4),
            "review_below": self.review_limits(),
            "calibration_error_before": round(self.error_before, 5),
            "calibration_error_after": round(self.error_after, 5),
            "expected_dice_error": self.dice_errors(),
            "num_cases": len(self.cases),
            "num_voxels": self.num_voxels,
            "because": "Fitted on held-out cases; errors are those of each fold with the temperature of the others.",
        }

    def account(self) -> dict[str, Any]:
        """Everything, for the work folder and the report."""
        tables = {}
        for name, bins in (("before", self.before), ("after", self.after)):
            tables[name] = [[one.confidence, one.accuracy, one.share] for one in bins]
        cases = []
        for case in self.cases:
            cases.append({"id": case.id, "fold": case.fold, "expected": case.expected, "true": case.true})
        return {**self.to_json(), "reliability": tables, "cases": cases}

    def review_limits(self) -> dict[str, float]:
        """For each class the expected Dice that 19 of 20 held-out cases exceed."""
        limits = {}
        for name, values in self._by_class("expected").items():
            limits[name] = round(float(np.quantile(values, _REVIEW_QUANTILE)), 4)
        return limits

    def dice_errors(self) -> dict[str, float]:
        """For each class the mean absolute difference of expected and true Dice."""
        differences: dict[str, list[float]] = {}
        for case in self.cases:
            for name, expected in case.expected.items():
                if name in case.true:
                    differences.setdefault(name, []).append(abs(expected - case.true[name]))
        return {name: round(float(np.mean(values)), 4) for name, values in differences.items()}

    def _by_class(self, which: str) -> dict[str, list[float]]:
        values: dict[str, list[float]] = {}
        for case in self.cases:
            for name, value in getattr(case, which).items():
                values.setdefault(name, []).append(value)
        return values


def calibrate(cases: Sequence[HeldOut], outputs: Outputs, *, workers: int | str | None = None) -> Calibration:
    """Fit the temperature, and measure what it is worth.

    Args:
        cases: with maps of probabilities beside their label maps.
        outputs: what the channels of the maps mean.
        workers: cases at the same time.

    Raises:
        InputError: naming every case that cannot be used; or there are fewer than two folds.
    """
    if len({case.fold for case in cases}) < 2:
        message = "needs held-out cases of two folds or more: one to fit the temperature, another to measure it."
        raise InputError(Problem("calibrate", message))
    done = map_cases(
        partial(read_voxels, outputs=outputs),
        cases,
        name=lambda case: case.pair.id,
        workers=workers,
        description="calibrate",
    )
    if done.problems:
        raise InputError(done.problems)
    voxels = list(done.results)
    temperatures = {}
    for fold in sorted({case.fold for case in voxels}):
        others = [case for case in voxels if case.fold != fold]
        temperatures[fold] = fit_temperature(others, outputs)
    unscaled = partial(_confidences, voxels, outputs)
    before = unscaled(dict.fromkeys(temperatures, 1.0))
    after = unscaled(temperatures)
    expect = partial(_expected_and_true, outputs=outputs, temperatures=temperatures)
    compared = map_cases(expect, voxels, name=lambda case: case.id, workers=workers, description="expected Dice")
    if compared.problems:
        raise InputError(compared.problems)
    return Calibration(
        temperature=fit_temperature(voxels, outputs),
        error_before=calibration_error(reliability(*before)),
        error_after=calibration_error(reliability(*after)),
        before=reliability(*before),
        after=reliability(*after),
        cases=tuple(compared.results),
        num_voxels=len(before[0]),
    )


def read_voxels(case: HeldOut, outputs: Outputs) -> CaseVoxels:
    """Draw voxels of a case from the box around all that is labelled or predicted, with a small margin.

    Raises:
        InputError: a file cannot be read, or the map has other channels or another grid.
    """
    path = probabilities_of(case)
    proxy, reference = _open(path, case, outputs)
    label = reference.array
    predicted = np.asarray(read_volume(case.pair.prediction).on_grid_of(reference).array)
    box = bounding_box((label != 0) | (predicted != 0)) or ([0, 0, 0], list(label.shape))
    part = []
    for first, last, length in zip(box[0], box[1], label.shape, strict=True):
        part.append(slice(max(0, first - _MARGIN_VOXELS), min(length, last + _MARGIN_VOXELS)))
    inside = tuple(part)
    probabilities = np.asarray(proxy[inside], dtype=np.float32).reshape(-1, len(outputs.members))
    labels = label[inside].reshape(-1)
    counted = np.flatnonzero(labels != outputs.ignore_label) if outputs.ignore_label is not None else None
    places = np.arange(len(labels)) if counted is None else counted
    if len(places) > _VOXELS_PER_CASE:
        generator = np.random.default_rng(zlib.crc32(case.pair.id.encode()))
        places = np.sort(generator.choice(places, _VOXELS_PER_CASE, replace=False))
    return CaseVoxels(
        id=case.pair.id,
        fold=case.fold,
        probabilities=probabilities[places].T,
        truth=_truth(labels[places], outputs),
        files=(path, case.pair.reference),
    )


def probabilities_of(case: HeldOut) -> Path:
    """Path of the map of probabilities of a held-out case."""
    return case.pair.prediction.parent / "probabilities" / case.pair.prediction.name


def fit_temperature(cases: Sequence[CaseVoxels], outputs: Outputs) -> float:
    """The temperature with the smallest mean negative log-likelihood over voxels, each case weighing the same."""
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        return float(np.mean([_negative_log_likelihood(case, math.exp(logarithm), outputs) for case in cases]))

    found = minimize_scalar(loss, bounds=(math.log(_LIMITS[0]), math.log(_LIMITS[1])), method="bounded")
    return float(math.exp(found.x))


def _negative_log_likelihood(case: CaseVoxels, temperature: float, outputs: Outputs) -> float:
    probabilities = scaled(case.probabilities, temperature, exclusive=outputs.exclusive)
    if outputs.exclusive:
        of_truth = np.where(case.truth, probabilities, 0).sum(axis=0)
        return float(-np.log(np.maximum(of_truth, _SMALLEST)).mean())
    of_truth = np.where(case.truth, probabilities, 1 - probabilities)
    return float(-np.log(np.maximum(of_truth, _SMALLEST)).mean())


def _confidences(
    cases: Sequence[CaseVoxels], outputs: Outputs, temperatures: dict[int, float]
) -> tuple[Voxels, NDArray[np.bool_]]:
    """How sure each voxel's decision is, and whether it is right; with the temperature of the case's fold."""
    sure = []
    right = []
    for case in cases:
        probabilities = scaled(case.probabilities, temperatures[case.fold], exclusive=outputs.exclusive)
        if outputs.exclusive:
            chosen = probabilities.argmax(axis=0)
            sure.append(probabilities.max(axis=0))
            right.append(np.take_along_axis(case.truth, chosen[None], axis=0)[0])
        else:
            sure.append(np.maximum(probabilities, 1 - probabilities).ravel())
            right.append(((probabilities > 0.5) == case.truth).ravel())
    return np.concatenate(sure), np.concatenate(right)


def reliability(sure: Voxels, right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """Bins of equal width over the confidences from 0 to 1; empty ones are left out."""
    numbers = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins = []
    for number in np.unique(numbers):
        members = numbers == number
        bins.append(
            Bin(
                confidence=float(sure[members].mean(dtype=np.float64)),
                accuracy=float(right[members].mean()),
                share=float(members.mean()),
            )
        )
    return tuple(bins)


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: mean distance of confidence and accuracy, weighted by the share of voxels."""
    return sum(one.share * abs(one.confidence - one.accuracy) for one in bins)


def _expected_and_true(case: CaseVoxels, outputs: Outputs, temperatures: dict[int, float]) -> ExpectedAndTrue:
    """Over the whole volume, slab by slab along its last axis."""
    import nibabel as nib

    proxy = nib.load(case.files[0]).dataobj  # type: ignore[attr-defined]
    label = read_volume(case.files[1]).array
    expected = ExpectedDice(len(outputs.members), exclusive=outputs.exclusive)
    both = np.zeros(len(outputs.members))
    voxels = np.zeros(len(outputs.members))
    for index in range(label.shape[2]):
        probabilities = np.moveaxis(np.asarray(proxy[:, :, index], dtype=np.float32), -1, 0)
        probabilities = scaled(probabilities, temperatures[case.fold], exclusive=outputs.exclusive)
        expected.add(probabilities)
        truth = _truth(label[:, :, index].ravel(), outputs)
        predicted = _decision(probabilities.reshape(len(truth), -1), outputs)
        both += (truth & predicted).sum(axis=1)
        voxels += truth.sum(axis=1) + predicted.sum(axis=1)
    first = len(outputs.members) - len(outputs.names)
    foretold = {}
    true = {}
    for name, value, shared, count in zip(
        outputs.names, expected.dice()[first:], both[first:], voxels[first:], strict=True
    ):
        if value is not None:
            foretold[name] = round(value, 5)
        if count:
            true[name] = round(float(2 * shared / count), 5)
    return ExpectedAndTrue(id=case.id, fold=case.fold, expected=foretold, true=true)


def _decision(probabilities: Voxels, outputs: Outputs) -> NDArray[np.bool_]:
    if not outputs.exclusive:
        return probabilities > 0.5
    decided: NDArray[np.bool_] = probabilities.argmax(axis=0)[None] == np.arange(len(probabilities))[:, None]
    return decided


def _truth(labels: NDArray[Any], outputs: Outputs) -> NDArray[np.bool_]:
    return np.stack([np.isin(labels, members) for members in outputs.members])


def _open(path: Path, case: HeldOut, outputs: Outputs) -> tuple[Any, Any]:
    import nibabel as nib

    proxy = nib.load(path).dataobj  # type: ignore[attr-defined]
    reference = read_volume(case.pair.reference)
    shape = (*reference.array.shape, len(outputs.members))
    if tuple(proxy.shape) != shape:
        message = f"has shape {tuple(proxy.shape)}, but reference and channels make {shape}. Evaluate the fold again."
        raise InputError(Problem(str(path), message))
    return proxy, reference
