"""Importing models of other programs from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import mist_bundle as mb
from tests.transfer.mist_made import write_results as write_mist_results
from tests.transfer.nnunet_made import write_results


def test_a_bundle_and_what_was_understood(tmp_path: Path) -> None:
    results = write_results(tmp_path / "results", folds=("0", "1"))
    with pytest.warns(mb.DataWarning) as caught:
        imported = mb.import_nnunet(results, tmp_path / "model", folds=[1])
    said = "\n".join(str(warning.message) for warning in caught)
    assert "no ranges of spacing and intensity" in said
    assert "axes are taken as they are stored" in said
    assert imported.bundle == tmp_path / "model"
    assert dict(imported.table)["folds"] == "1"
    assert mb.Bundle(tmp_path / "model").plan.channel_names == ("t1", "flair")


def test_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(mb.InputError, match="checkpoint"):
        mb.import_nnunet(tmp_path, tmp_path / "model", checkpoint="latest")


def test_mist(tmp_path: Path) -> None:
    results = write_mist_results(tmp_path / "results")
    with pytest.warns(mb.DataWarning, match="known by config.json alone"):
        imported = mb.import_mist(results, tmp_path / "model", dry_run=True)
    assert imported.bundle is None
    assert dict(imported.table)["patch"] == "16 x 16 x 8"
