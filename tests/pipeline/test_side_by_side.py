from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mist_bundle import pipeline
from mist_bundle.bundle.placement import Placement
from mist_bundle.pipeline.side_by_side import split


def test_devices_and_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    gpus = Placement(processes=4, devices=("0", "1", "2", "3"))
    assert [part.devices for part in split(gpus, 2)] == [("0", "1"), ("2", "3")]
    assert [part.processes for part in split(gpus, 3)] == [1, 1, 1]
    assert len(split(gpus, 9)) == 4
    assert [part.threads for part in split(Placement(), 2)] == [4, 4]


@pytest.mark.slow
def test_two_folds_at_a_time_are_trained_and_published(own_bundle: Path, phantom_json: Path) -> None:
    data: dict[str, Any] = {"dataset_dir": str(phantom_json.parent / "train"), "epochs": 1, "steps_per_epoch": 1}
    pipeline.train(own_bundle, [0, 1], data, parallel=2)
    work = own_bundle.parent / f"{own_bundle.name}_work"
    for fold in (0, 1):
        assert json.loads((work / f"fold_{fold}/status.json").read_text())["epoch"] == 1
        assert (own_bundle / f"models/fold_{fold}.pt").is_file()
