"""Reference and predicted volumes, from arrays of known sizes."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.bundle.folder import Bundle
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.report.bundle_report import bundle_data_report
from mist_bundle.report.sources import CaseFiles, files_of_bundle
from mist_bundle.report.volumes_part import predicted_volumes, reference_volumes, volumes_section
from tests.report.conftest import LIVER, Made
from tests.report.pages import Page


def test_predicted_volumes_are_voxels_times_their_size(tmp_path: Path) -> None:
    label = np.zeros((10, 10, 10), dtype=np.uint8)
    label[:5, :5, :4] = 1
    label[5:, 5:, 5:] = 2
    nib.save(nib.Nifti1Image(label, np.diag([2.0, 1.0, 5.0, 1.0])), tmp_path / "a.nii.gz")
    case = CaseFiles(id="a", images={}, label=tmp_path / "none", prediction=tmp_path / "a.nii.gz")
    classes = {"one": (1,), "both": (1, 2), "background": (0,), "other": (7,)}
    identity, volumes = predicted_volumes(case, classes)
    assert identity == "a"
    assert volumes == pytest.approx({"one": 1.0, "both": 2.25, "background": 0.0, "other": 0.0})
    with pytest.raises(ValueError, match="b has no prediction"):
        predicted_volumes(CaseFiles(id="b", images={}, label=tmp_path / "none"), classes)


def test_classes_of_several_labels_add_up(trained: Made) -> None:
    bundle = Bundle(trained.bundle)
    report = bundle_data_report(bundle)
    assert report is not None
    volumes = reference_volumes(report, bundle.plan.final_classes)
    for case in trained.files:
        label = read_volume(case.label)
        array = label.array
        voxel_ml = abs(np.linalg.det(label.affine[:3, :3])) / 1000
        for name, labels in bundle.plan.final_classes.items():
            expected = np.isin(array, labels).sum() * voxel_ml
            assert volumes.loc[case.id, name] == pytest.approx(expected, rel=1e-6)


def test_agreement_is_that_of_the_volumes(trained: Made) -> None:
    bundle = Bundle(trained.bundle)
    report = bundle_data_report(bundle)
    assert report is not None
    content, problems = volumes_section(report, files_of_bundle(bundle), bundle.plan, "b")
    assert problems == []
    reference = reference_volumes(report, bundle.plan.final_classes)[LIVER]
    prediction = {}
    for case in trained.files:
        prediction[case.id] = predicted_volumes(case, bundle.plan.final_classes)[1][LIVER]
    differences = np.array([prediction[case] - reference[case] for case in reference.index])
    text = Page(content).text
    row = text[text.rindex(LIVER) + len(LIVER) :].split()[:5]
    mean, low, high = (float(word.replace(",", "")) for word in row[2:5])
    spread = 1.96 * differences.std(ddof=1)
    assert (mean, low, high) == pytest.approx(
        (differences.mean(), differences.mean() - spread, differences.mean() + spread), abs=0.01
    )


def test_before_predictions_there_is_a_command(trained: Made) -> None:
    bundle = Bundle(trained.bundle)
    content, _ = volumes_section(None, [], bundle.plan, "b")
    assert re.search("Run: mist-bundle evaluate b", Page(content).text)
