"""A workflow in shares: the same files, and the cases of a share that failed are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.bundle.launch import INFERENCE, configured_dataset_dir
from mist_bundle.pipeline.shares import SharedRun, run_in_shares
from mist_bundle.runtime.folds.files import sha256_of


@pytest.mark.slow
def test_two_processes_predict_what_one_does(trained_bundle: Path, tmp_path: Path) -> None:
    data = configured_dataset_dir(trained_bundle)
    alone, _ = pipeline.predict(trained_bundle, data, tmp_path / "one", device="cpu")
    shared, _ = pipeline.predict(trained_bundle, data, tmp_path / "two", device="cpu", workers=2)
    assert [path.name for path in shared] == [path.name for path in alone]
    assert [sha256_of(path) for path in shared] == [sha256_of(path) for path in alone]


def test_all_cases_of_a_share_that_failed_are_named(tmp_path: Path) -> None:
    run = SharedRun(bundle=tmp_path / "nowhere", workflow=INFERENCE, part="testing", settings={})
    problems = run_in_shares(run, [{"id": name, "image": []} for name in ("a", "b", "c")], workers=1)
    assert [problem.path for problem in problems] == ["a", "b", "c"]
    assert "nowhere" in problems[0].message
