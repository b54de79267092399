"""Where the files of a report are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mist_bundle.bundle.folder import Bundle
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.report.sources import files_of_bundle, files_of_cases
from tests.report.conftest import NUM_CASES, Made


def test_cases_of_a_bundle_have_their_out_of_fold_predictions(trained: Made) -> None:
    files = files_of_bundle(Bundle(trained.bundle))
    assert len(files) == NUM_CASES
    assert [case.id for case in files] == sorted(case.id for case in files)
    for case in files:
        assert case.are_there
        assert list(case.images) == ["t1", "t2"]
        assert case.prediction == trained.work_dir / f"fold_{case.fold}" / "predictions" / f"{case.id}.nii.gz"


def test_files_that_do_not_exist_are_listed(trained: Made, tmp_path: Path) -> None:
    files = files_of_bundle(Bundle(trained.bundle), tmp_path)
    assert len(files) == NUM_CASES
    assert not any(case.are_there for case in files)
    assert files[0].label.is_relative_to(tmp_path)


def test_before_evaluation_there_are_no_predictions(untrained: Made) -> None:
    assert {case.prediction for case in files_of_bundle(Bundle(untrained.bundle))} == {None}


def test_only_labelled_cases_of_a_dataset_are_shown(untrained: Made) -> None:
    cases = find_cases(DatasetSpec.from_json(untrained.dataset_json)).cases
    unlabelled = replace(cases[0], label=None)
    files = files_of_cases([unlabelled, *cases[1:]])
    assert [case.id for case in files] == [case.id for case in cases[1:]]
    assert files[0].label == cases[1].label
