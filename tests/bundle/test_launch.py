"""The command lines that start a bundle, and the workflows that they run."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle.bundle.launch import CHILD, EVALUATING, INFERENCE, TRAINING, _environment, workflow_command
from mist_bundle.bundle.placement import Placement
from mist_bundle.errors import InputError

# prints how many pages were fetched by 20 rounds that take 16 x 8 MB from the C library and give them back
_FREE_AND_ALLOCATE = """
import ctypes, resource
library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def take_and_give_back():
    blocks = [library.malloc(8 * 2**20) for _ in range(16)]
    for block in blocks:
        ctypes.memset(block, 1, 8 * 2**20)
    for block in blocks:
        library.free(block)
take_and_give_back()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    take_and_give_back()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_one_process_is_a_plain_monai_command(fresh_bundle: Path) -> None:
    command = workflow_command(fresh_bundle, INFERENCE, {"split": "all", "device": None})
    config = str(fresh_bundle / "configs" / "inference.json")
    start = [sys.executable, "-m", CHILD, "monai.bundle", "run", "inference"]
    assert command == [*start, "--config_file", config, "--split", "all"]


def test_overlay_and_several_processes(fresh_bundle: Path) -> None:
    command = workflow_command(fresh_bundle, EVALUATING, {"metrics": ["dice"]}, Placement(processes=2))
    assert "torch.distributed.run" in command
    files = command[command.index("--config_file") + 1]
    assert all(f"{stem}.json" in files for stem in ("train", "evaluate", "multi_gpu_evaluate"))
    assert command[-2:] == ["--metrics", "['dice']"]


def test_misspelt_override_never_starts_a_process(fresh_bundle: Path) -> None:
    with pytest.raises(InputError, match="Did you mean --epochs"):
        workflow_command(fresh_bundle, TRAINING, {"epoch": 3})


def test_a_training_keeps_freed_memory_unless_the_user_chose_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    faults = {}
    for workflow in (TRAINING, INFERENCE):
        environment = _environment(workflow, Placement(), tmp_path / "reason.txt")
        done = subprocess.run(
            [sys.executable, "-c", _FREE_AND_ALLOCATE], env=environment, capture_output=True, text=True, check=True
        )
        faults[workflow.run_id] = int(done.stdout)
    if platform.libc_ver()[0] == "glibc":
        assert faults["training"] < faults["inference"] / 10
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    chosen = _environment(TRAINING, Placement(), tmp_path / "reason.txt")
    assert "MALLOC_TRIM_THRESHOLD_" not in chosen
