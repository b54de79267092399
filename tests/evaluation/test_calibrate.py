"""Temperatures, calibration errors and expected Dice, on predictions whose temperature is known."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.special import expit, softmax

from mist_bundle.errors import InputError
from mist_bundle.evaluation.calibrate import (
    Outputs,
    calibrate,
    calibration_error,
    probabilities_of,
    reliability,
)
from mist_bundle.evaluation.choose_postprocessing import HeldOut
from mist_bundle.evaluation.pairs import Pair

CLASSES = Outputs(names=("liver", "kidney"), members=((0,), (1,), (2,)), exclusive=True)
REGIONS = Outputs(names=("whole", "core"), members=((1, 2), (2,)), exclusive=False)
SHAPE = (24, 24, 24)


def _case(folder: Path, number: int, outputs: Outputs, temperature: float) -> HeldOut:
    """A case whose truth is drawn from its logits, and whose map is of logits times a temperature."""
    generator = np.random.default_rng(number)
    logits = 2 * generator.normal(size=(len(outputs.members), *SHAPE))
    if outputs.exclusive:
        truth = softmax(logits, axis=0).cumsum(axis=0) < generator.random(SHAPE)
        label = truth.sum(axis=0)
        probabilities = softmax(logits * temperature, axis=0)
        prediction = probabilities.argmax(axis=0)
    else:
        logits[1] = -20
        label = (generator.random(SHAPE) < expit(logits[0])).astype(int)
        probabilities = expit(logits * temperature)
        prediction = (probabilities[0] > 0.5).astype(int)
    pair = Pair(
        id=f"case_{number}",
        reference=folder / f"reference/case_{number}.nii.gz",
        prediction=folder / f"predictions/case_{number}.nii.gz",
    )
    case = HeldOut(fold=number % 3, pair=pair)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    stored = (
        (pair.reference, label.astype(np.uint8)),
        (pair.prediction, prediction.astype(np.uint8)),
        (probabilities_of(case), np.moveaxis(probabilities, 0, -1).astype(np.float32)),
    )
    for path, array in stored:
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, affine), path)
    return case


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_temperature_of_the_predictions_is_found(tmp_path: Path, temperature: float) -> None:
    cases = [_case(tmp_path, number, CLASSES, temperature) for number in range(6)]
    found = calibrate(cases, CLASSES, workers=1)
    assert found.temperature == pytest.approx(temperature, rel=0.03)
    assert found.error_before > 0.05
    assert found.error_after < 0.01
    assert found.num_voxels == 6 * 24**3


def test_expected_dice_is_near_the_true_dice_and_limits_what_is_reviewed(tmp_path: Path) -> None:
    cases = [_case(tmp_path, number, CLASSES, 3.0) for number in range(6)]
    found = calibrate(cases, CLASSES, workers=1)
    for case in found.cases:
        for name in ("liver", "kidney"):
            assert case.expected[name] == pytest.approx(case.true[name], abs=0.02)
    limits = found.to_json()["review_below"]
    lowest = min(case.expected["liver"] for case in found.cases)
    assert lowest <= limits["liver"] <= lowest + 0.02


def test_true_dice_is_that_of_the_label_maps(tmp_path: Path) -> None:
    cases = [_case(tmp_path, number, CLASSES, 2.0) for number in range(3)]
    found = {case.id: case for case in calibrate(cases, CLASSES, workers=1).cases}
    for case in cases:
        truth = np.asarray(nib.load(case.pair.reference).dataobj) == 2
        predicted = np.asarray(nib.load(case.pair.prediction).dataobj) == 2
        dice = 2 * (truth & predicted).sum() / (truth.sum() + predicted.sum())
        assert found[case.pair.id].true["kidney"] == pytest.approx(dice, abs=1e-5)


def test_regions_are_decided_one_by_one(tmp_path: Path) -> None:
    cases = [_case(tmp_path, number, REGIONS, 2.0) for number in range(3)]
    found = calibrate(cases, REGIONS, workers=1)
    assert found.temperature == pytest.approx(2.0, rel=0.1)


def test_nothing_is_measured_on_what_it_was_fitted_to(tmp_path: Path) -> None:
    """Two folds with opposite errors: each is scaled by the other's temperature, which makes it worse."""
    cases = []
    for number in range(6):
        case = _case(tmp_path, number, CLASSES, 0.5 if number < 3 else 2.0)
        cases.append(HeldOut(fold=int(number >= 3), pair=case.pair))
    found = calibrate(cases, CLASSES, workers=1)
    assert found.error_after > found.error_before


def test_unlabelled_voxels_are_left_out(tmp_path: Path) -> None:
    cases = [_case(tmp_path, number, CLASSES, 2.0) for number in range(3)]
    for case in cases:
        image = nib.load(case.pair.reference)
        label = np.asarray(image.dataobj).copy()
        label[:8] = 9
        nib.save(nib.Nifti1Image(label, image.affine), case.pair.reference)
    outputs = Outputs(names=CLASSES.names, members=CLASSES.members, exclusive=True, ignore_label=9)
    found = calibrate(cases, outputs, workers=1)
    assert found.num_voxels == 3 * 16 * 24 * 24
    assert found.temperature == pytest.approx(2.0, rel=0.05)


def test_calibration_error_in_closed_form() -> None:
    sure = np.array([0.95] * 10 + [0.65] * 10)
    right = np.array([True] * 9 + [False] + [True] * 5 + [False] * 5)
    bins = reliability(sure, right)
    assert [(one.accuracy, one.share) for one in bins] == [(0.5, 0.5), (0.9, 0.5)]
    assert calibration_error(bins) == pytest.approx(0.5 * 0.15 + 0.5 * 0.05)


def test_a_single_fold_is_refused(tmp_path: Path) -> None:
    case = _case(tmp_path, 0, CLASSES, 1.0)
    with pytest.raises(InputError, match="two folds or more"):
        calibrate([case], CLASSES, workers=1)


def test_maps_of_other_channels_are_named(tmp_path: Path) -> None:
    cases = [_case(tmp_path, number, CLASSES, 1.0) for number in range(3)]
    outputs = Outputs(names=("liver",), members=((0,), (1,)), exclusive=True)
    with pytest.raises(InputError, match=r"probabilities/case_0\.nii\.gz: has shape \(24, 24, 24, 3\)"):
        calibrate(cases, outputs, workers=1)
