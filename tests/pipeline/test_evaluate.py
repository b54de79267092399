"""Evaluating in shares: the same scores as in one process, and the cases that fail are named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.launch import WorkflowFailed, configured_dataset_dir
from mist_bundle.errors import CaseFailure, InputError
from mist_bundle.files import read_json, work_dir_of
from mist_bundle.runtime.folds.files import sha256_of


@pytest.fixture
def bundle(trained_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the trained bundle and of its work folder."""
    target = tmp_path / trained_bundle.name
    shutil.copytree(trained_bundle, target)
    shutil.copytree(work_dir_of(trained_bundle), work_dir_of(target), ignore=shutil.ignore_patterns("cache"))
    return target


@pytest.fixture
def data(trained_bundle: Path) -> Path:
    """The folder of its cases."""
    return configured_dataset_dir(trained_bundle)


def _state(bundle: Path) -> dict[str, str]:
    fold = work_dir_of(bundle) / "fold_0"
    files = [fold / "results.csv", fold / "results.json", *fold.glob("predictions/*.nii.gz")]
    return {str(path.relative_to(fold)): sha256_of(path) for path in files}


def test_two_processes_write_the_scores_of_one(bundle: Path, data: Path) -> None:
    before = _state(bundle)
    assert len(before) > 3
    shutil.rmtree(work_dir_of(bundle) / "fold_0/predictions")
    pipeline.evaluate_folds(bundle, [0], {"dataset_dir": str(data)}, workers=2)
    assert _state(bundle) == before
    assert not (work_dir_of(bundle) / "fold_0/shares").exists()


def test_a_case_that_cannot_be_read_is_named_and_the_others_are_scored(
    bundle: Path, data: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "cases"
    shutil.copytree(data, copy)
    first, *others = Bundle(bundle).datalist.held_out(0)
    (copy / first.images[0]).write_bytes(b"")
    with pytest.raises(CaseFailure) as failure:
        pipeline.evaluate_folds(bundle, [0], {"dataset_dir": str(copy)}, workers=1)
    assert [problem.path for problem in failure.value.problems] == [f"fold 0, {first.id}"]
    results = read_json(work_dir_of(bundle) / "fold_0/results.json")
    assert [row["id"] for row in results["cases"]] == sorted(case.id for case in others)
    assert [row["id"] for row in results["failed"]] == [first.id]


def test_what_is_not_about_cases_is_said_once(bundle: Path, data: Path) -> None:
    with pytest.raises(InputError, match="overlapp"):
        pipeline.evaluate_folds(bundle, [0], {"dataset_dir": str(data), "overlapp": 0.5}, workers=1)
    (bundle / "models/fold_0.pt").write_bytes(b"no weights")
    with pytest.raises(WorkflowFailed, match=r"fold_0\.pt"):
        pipeline.evaluate_folds(bundle, [0], {"dataset_dir": str(data)}, workers=1, trust=True)
