"""What all converters share: tables, warnings in bounds, and output that appears complete or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mist_bundle.dataset.conversion import ConversionOptions, convert
from mist_bundle.errors import CaseFailure, InputError
from tests.dataset.samples import save_volume, source_of_masks


def test_a_dry_run_shows_the_same_table_and_writes_nothing(tmp_path: Path) -> None:
    source = source_of_masks(tmp_path / "in", 2)
    dry = convert(source, tmp_path / "out", ConversionOptions(dry_run=True))
    assert not (tmp_path / "out").exists()
    real = convert(source, tmp_path / "out", ConversionOptions())
    assert dry.table[: len(real.table)] == real.table
    assert dry.table[len(real.table) :] == [("c0", "0.nii.gz, 2 masks"), ("c1", "1.nii.gz, 2 masks")]
    assert dry.warnings == real.warnings
    with pytest.raises(InputError, match="--overwrite"):
        convert(source, tmp_path / "out", ConversionOptions(dry_run=True))


def test_nothing_usable_leaves_nothing_behind(tmp_path: Path) -> None:
    source = source_of_masks(tmp_path / "in", 2)
    for case in source.training:
        case.images["ct"].write_bytes(b"")
    with pytest.raises(InputError) as refused:
        convert(source, tmp_path / "out", ConversionOptions())
    assert [problem.path for problem in refused.value.problems] == ["c0", "c1"]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_cases_left_out_are_counted(tmp_path: Path) -> None:
    source = source_of_masks(tmp_path / "in", 3)
    source.training[1].images["ct"].unlink()
    outcome = convert(source, tmp_path / "out", ConversionOptions())
    with pytest.raises(CaseFailure, match="1 of 3 cases failed"):
        outcome.raise_failures()


@pytest.mark.parametrize("place", ["in", "in/below"])
def test_what_is_read_is_never_replaced(place: str, tmp_path: Path) -> None:
    source = source_of_masks(tmp_path / "in", 1)
    with pytest.raises(InputError, match="Choose another place"):
        convert(source, tmp_path / place, ConversionOptions(overwrite=True))
    assert source.training[0].images["ct"].is_file()


def test_names_that_would_collide_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'background' is what label 0 is called"):
        convert(source_of_masks(tmp_path / "a", 1, ("liver", "background")), tmp_path / "out", ConversionOptions())
    source = source_of_masks(tmp_path / "b", 1)
    with pytest.raises(InputError, match="'mask' cannot be the name of a channel"):
        convert(source, tmp_path / "out", ConversionOptions(channels=("mask",)))
    images = {
        "ct": save_volume(tmp_path / "4d.nii.gz", np.zeros((6, 5, 4, 2), np.int16)),
        "ct_1": tmp_path / "b" / "0.nii.gz",
    }
    case = replace(source.training[0], images=images)
    with pytest.raises(InputError, match="2 channels are called 'ct_1'"):
        convert(replace(source, columns=("ct", "ct_1"), training=(case,)), tmp_path / "out", ConversionOptions())
    assert not (tmp_path / "out").exists()
