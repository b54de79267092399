"""The command lines that start a bundle, and the workflows that they run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mist_bundle.bundle.launch import CHILD, EVALUATING, INFERENCE, TRAINING, workflow_command
from mist_bundle.bundle.placement import Placement
from mist_bundle.errors import InputError


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
