"""States are written whole, read with care, and hold all random generators."""

from __future__ import annotations

import errno
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mist_bundle.runtime.handlers.training_state import (
    random_state,
    read_state,
    restore_scaler,
    save_whole,
    set_random_state,
)


def draw() -> tuple[float, float, float, float]:
    return random.random(), float(np.random.rand()), float(np.random.normal()), float(torch.rand(1))


def test_generators_go_on_where_they_were(tmp_path: Path) -> None:
    draw()
    save_whole(random_state(), tmp_path / "state.pt")
    expected = [draw() for _ in range(3)]
    set_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert [draw() for _ in range(3)] == expected


@pytest.mark.parametrize(
    ("state", "whole"),
    [({"epoch": 3, "network": {}}, True), ({"epoch": 3}, False), ([1, 2], False)],
)
def test_only_states_are_read(tmp_path: Path, state: Any, whole: bool) -> None:
    save_whole(state, tmp_path / "last.pt")
    assert (read_state(tmp_path / "last.pt") == state) == whole


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    assert read_state(path) is None
    assert f"{path} cannot be read (" in caplog.text


def test_a_scaler_is_restored_where_the_trainer_has_it() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    state = torch.amp.GradScaler("cpu", init_scale=512.0).state_dict()
    restore_scaler(SimpleNamespace(scaler=scaler), state)
    assert scaler.get_scale() == 512.0
    restore_scaler(SimpleNamespace(), state)


FULL = """
import resource, signal, sys, torch
from pathlib import Path
from mist_bundle.runtime.handlers.training_state import save_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    save_whole({"weights": torch.zeros(100_000)}, Path(sys.argv[1]))
except OSError as error:
    print(error.errno, error.filename)
"""


def test_a_full_disk_is_what_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(b"the state before")
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(errno.EFBIG), str(path)], done.stderr[-1000:]
    assert path.read_bytes() == b"the state before"
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]
