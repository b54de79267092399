"""scripts/gpu_check: every part runs on the CPU, what fails is named, and nothing runs for longer than it may."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "scripts" / "gpu_checks"
MODULES = ("run", "bench", "phantom_bundles", "steps", "loaders", "training", "memory", "prediction")
# columns that each row of a part has
COLUMNS = {
    "training": {"ms a step", "device busy", "waiting for patches", "waits a step"},
    "memory": {"measured GB", "modelled GB", "error"},
    "prediction": {"seconds", "peak GB"},
    "steps": {"forward ms", "backward ms", "patches/s"},
}


@pytest.fixture(scope="module")
def run() -> Iterator[ModuleType]:
    """The script, whose folder is on the path only while these tests run."""
    path, modules = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("run")
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name in MODULES or name.split(".")[0] == "scripts":
            del sys.modules[name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the parts of a check share."""
    return tmp_path_factory.mktemp("gpu_check")


def _rows(run: ModuleType, part: str, folder: Path, device: str = "cpu", seconds: float = 600.0) -> list[Any]:
    rows = folder / f"{part}_{device}.jsonl"
    settings = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision(), torch.get_rng_state()
    run.run_part(part, device, seconds, folder, rows)
    torch.backends.cudnn.allow_tf32 = settings[0]
    torch.set_float32_matmul_precision(settings[1])
    torch.set_rng_state(settings[2])
    return [json.loads(line) for line in rows.read_text().splitlines()]


SLOW = [pytest.param(part, marks=pytest.mark.slow) for part in ("memory", "steps")]


@pytest.mark.parametrize("part", ["prediction", "training", *SLOW])
def test_a_part_runs_on_the_cpu(run: ModuleType, folder: Path, part: str) -> None:
    rows = _rows(run, part, folder)
    for row in rows:
        assert not row["problem"], row
        assert not row["skipped"], row
        assert COLUMNS[part] <= set(row["figures"])
    if part == "training":
        # that of FiniteLossGuard, which on a GPU looks at the loss of the step before
        assert [row["figures"]["waits a step"] for row in rows] == [1]
    if part == "steps":
        assert len(rows) == 2 * 3 * 2 * 2  # networks, precisions, channels last, compiled


def test_the_loaders_yield_the_same_patches(run: ModuleType, folder: Path) -> None:
    pytest.importorskip("nvidia.dali")
    same, *rates = _rows(run, "loaders", folder)
    assert same["figures"]["equal labels"] == 1
    assert same["figures"]["largest difference"] < 1e-4
    assert [row["name"] for row in rates] == ["loader dali", "loader torch"]
    assert all(row["figures"]["patches/s"] > 0 for row in rates)


def test_variants_that_fail_are_named_and_the_others_go_on(run: ModuleType, folder: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("nothing fails here: this machine has a CUDA device")
    rows = _rows(run, "prediction", folder, device="cuda")
    assert [row["name"] for row in rows] == [
        "nnunet, first",
        "nnunet, again",
        "nnunet-pocket, first",
        "nnunet-pocket, again",
    ]
    assert all(row["problem"] for row in rows)
    assert "nnunet, first | failed: " in "\n".join(run.table("prediction", rows))


def test_what_there_is_no_time_for_is_left_out_by_name(run: ModuleType, tmp_path: Path) -> None:
    rows = _rows(run, "steps", tmp_path, seconds=0.0)
    assert len(rows) == 24
    assert {row["skipped"] for row in rows} == {"the time of this part was used up"}


def test_a_part_that_takes_too_long_is_ended(run: ModuleType, tmp_path: Path) -> None:
    begun = time.monotonic()
    (row,) = run.run_in_process("steps", "cpu", 0.5, tmp_path)
    assert row["problem"] == "was ended after 0.5 s"
    assert time.monotonic() - begun < 30


def test_the_busy_time_counts_what_overlaps_once(run: ModuleType) -> None:
    covered = importlib.import_module("training").covered
    assert covered([]) == 0
    assert covered([(5, 6), (0, 2), (1, 3), (1, 2)]) == 4


@pytest.mark.slow
def test_the_whole_check_ends_well_without_a_device(tmp_path: Path) -> None:
    output = tmp_path / "check.json"
    command = [sys.executable, "-W", "ignore", str(FOLDER / "run.py"), "--output", str(output), "--device", "cpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "No CUDA device here" in done.stdout
    content = json.loads(output.read_text())
    assert {row["part"] for row in content["rows"]} == {"loaders", *COLUMNS}
    assert content["seconds"] < 480
