"""What `study` refuses before anything is trained; its trainings are tested in tests/pipeline/test_study.py."""

from __future__ import annotations

from pathlib import Path

import pytest

import mist_bundle as mb
from mist_bundle.errors import InputError


def test_everything_that_is_wrong_is_named_at_once(fresh_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        mb.study(fresh_bundle, tmp_path / "study", seeds=0, fold=-1, device="toaster")
    assert {problem.path for problem in caught.value.problems} == {"--seeds", "--fold", "--device"}
    assert not (tmp_path / "study").exists()


def test_a_fold_that_the_bundle_does_not_have(fresh_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--fold: is"):
        mb.study(fresh_bundle, tmp_path / "study", fold=7)
    assert not (tmp_path / "study").exists()
