"""Histories: complete or not, damaged or resumed; losses and Dice in the charts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mist_bundle.bundle.folder import Bundle
from mist_bundle.planning.plan import Plan
from mist_bundle.report.training_part import read_histories, training_section
from tests.report.conftest import Made


@pytest.fixture(scope="module")
def plan(untrained: Made) -> Plan:
    return replace(Bundle(untrained.bundle).plan, num_folds=1)


def _history(folder: Path, *lines: str) -> Path:
    (folder / "fold_0").mkdir()
    (folder / "fold_0" / "history.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def _record(epoch: int, loss: float, **more: float) -> str:
    return json.dumps({"epoch": epoch, "loss": loss, "learning_rate": 0.1, "seconds": 60, **more})


def test_an_epoch_that_was_trained_twice_counts_once(tmp_path: Path) -> None:
    lines = [_record(1, 0.9), _record(2, 0.8), _record(3, 0.7), _record(2, 0.75), _record(3, 0.65)]
    (history,) = read_histories(_history(tmp_path, *lines))
    assert [(one["epoch"], one["loss"]) for one in history.records] == [(1, 0.9), (2, 0.75), (3, 0.65)]
    assert history.num_damaged == 0


def test_damaged_lines_are_left_out_and_counted(tmp_path: Path, plan: Plan) -> None:
    lines = [_record(1, 0.9), '{"epoch": 2, "lo', "[]", "null", '{"loss": 1}', "", _record(3, 0.7), "\ufffd"]
    (history,) = read_histories(_history(tmp_path, *lines))
    assert [one["epoch"] for one in history.records] == [1, 3]
    assert history.num_damaged == 5
    assert "5 lines of history.jsonl could not be read" in training_section([history], "b", plan)


def test_validation_loss_is_drawn_where_it_was_measured(tmp_path: Path, plan: Plan) -> None:
    lines = [_record(1, 0.9), _record(2, 0.8, val_loss=0.85), _record(3, 0.7), _record(4, 0.6, val_loss=0.8)]
    histories = read_histories(_history(tmp_path, *lines))
    page = training_section(histories, "b", plan)
    assert "fold 0, validation: from 0.85 to 0.8" in page
    (tmp_path / "fold_0" / "history.jsonl").write_text(_record(1, 0.9))
    assert "validation: from" not in training_section(read_histories(tmp_path), "b", plan)
