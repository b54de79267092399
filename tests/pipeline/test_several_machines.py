"""Trainings on two machines, both of which are this one, and trainings that lose a process."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mist_bundle import pipeline
from mist_bundle.bundle.folder import Bundle
from mist_bundle.files import work_dir_of
from mist_bundle.runtime.folds.manifest import file_hashes
from tests.conftest import TINY

pytestmark = pytest.mark.slow
EPOCHS = ("--epochs", "3", "--val_interval", "1")
SECONDS = 240


@pytest.fixture(scope="module")
def configured(phantom_json: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = replace(TINY, steps_per_epoch=6, network="nnunet-pocket")
    return pipeline.autoconfig(phantom_json, tmp_path_factory.mktemp("machines"), options).bundle


@pytest.fixture(scope="module")
def on_one_machine(configured: Path, tmp_path_factory: pytest.TempPathFactory, data: list[str]) -> dict[str, str]:
    """Hashes of the bundle after an undisturbed training by two processes of one machine."""
    bundle = _copy(configured, tmp_path_factory.mktemp("one"))
    _finish([_start(_train(bundle, data, "--processes", "2"))])
    return file_hashes(bundle)


@pytest.fixture(scope="module")
def data(phantom_json: Path) -> list[str]:
    return ["--dataset_dir", str(phantom_json.parent / "train")]


def _copy(bundle: Path, folder: Path) -> Path:
    shutil.copytree(bundle, folder / bundle.name)
    return folder / bundle.name


def _train(bundle: Path, data: Sequence[str], *words: str) -> list[str]:
    return [sys.executable, "-m", "mist_bundle", "train", str(bundle), *EPOCHS, *data, *words]


def _node(rank: int, port: int) -> list[str]:
    return ["--nodes", "2", "--node_rank", str(rank), "--rendezvous", f"127.0.0.1:{port}"]


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _finish(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    said = []
    for process in processes:
        try:
            said.append(process.communicate(timeout=SECONDS)[0])
        finally:
            process.kill()
        assert process.returncode == 0, said[-1][-3000:]
    return said


def _wait_for_epoch(bundle: Path, epoch: int, started: Sequence[subprocess.Popen[str]]) -> None:
    until = time.monotonic() + SECONDS
    while (Bundle(bundle).fold(0).status or {"epoch": 0})["epoch"] < epoch:
        for process in started:
            assert process.poll() is None, process.communicate()[0][-2000:]
        assert time.monotonic() < until, "no epoch ended"
        time.sleep(0.02)


def _process_of_rank(bundle: Path, rank: int) -> int:
    """Id of the process that trains as this rank."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"RANK={rank}".encode() in environment and str(bundle).encode() in b" ".join(command):
            return int(folder.name)
    raise AssertionError(f"no process is rank {rank}")


def test_two_machines_with_a_shared_disk_and_the_printed_command(
    configured: Path, tmp_path: Path, data: list[str], on_one_machine: dict[str, str]
) -> None:
    bundle, port = _copy(configured, tmp_path), _free_port()
    first = _start(_train(bundle, data, *_node(0, port)))
    assert first.stdout is not None
    printed = next(line for line in first.stdout if line.startswith("torchrun "))
    assert f"torchrun --nnodes=2 --node_rank=0 --master_addr=127.0.0.1 --master_port={port} " in printed
    words = shlex.split(printed.replace("--node_rank=0", "--node_rank=1"))
    second = _start([sys.executable, "-m", "torch.distributed.run", *words[1:]])
    _finish([first, second])
    assert file_hashes(bundle) == on_one_machine


@pytest.mark.parametrize("swapped", [False, True])
def test_resumed_without_a_shared_disk(
    configured: Path, tmp_path: Path, data: list[str], on_one_machine: dict[str, str], swapped: bool
) -> None:
    """The state lies in the folder of the first machine alone, which is the second one later if `swapped`."""
    folders = [_copy(configured, tmp_path / "first"), _copy(configured, tmp_path / "second")]
    port = _free_port()
    started = [_start(_train(bundle, data, *_node(rank, port))) for rank, bundle in enumerate(folders)]
    _wait_for_epoch(folders[0], 1, started)
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        process.communicate(timeout=SECONDS)
        assert process.returncode == 128 + signal.SIGTERM
    assert not Bundle(folders[1]).fold(0).has_state
    if swapped:
        folders.reverse()
    port = _free_port()
    resumed = [_start(_train(bundle, data, *_node(rank, port), "--resume")) for rank, bundle in enumerate(folders)]
    said = _finish(resumed)
    assert "Continuing after epoch" in said[0]
    assert file_hashes(folders[0]) == on_one_machine
    history = (Bundle(folders[0]).fold(0).folder / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in history] == [1, 2, 3]
    assert not (folders[1] / "models/fold_0.pt").exists()


def test_a_process_that_dies_ends_the_training_with_its_error(
    configured: Path, tmp_path: Path, data: list[str]
) -> None:
    bundle = _copy(configured, tmp_path)
    before = file_hashes(bundle)
    process = _start(_train(bundle, data, "--processes", "2"))
    _wait_for_epoch(bundle, 1, [process])
    os.kill(_process_of_rank(bundle, 1), signal.SIGKILL)
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "'training' failed: " in said.splitlines()[-1]
    assert "SIGKILL" in said.splitlines()[-1]
    assert file_hashes(bundle) == before
    state = torch.load(work_dir_of(bundle) / "fold_0/last.pt", weights_only=True)
    assert 1 <= state["epoch"] < 3


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_process_that_dies_is_restarted(
    configured: Path, tmp_path: Path, data: list[str], on_one_machine: dict[str, str], nodes: int
) -> None:
    bundle, port = _copy(configured, tmp_path), _free_port()
    restarts = ["--max_restarts", "1"]
    if nodes == 1:
        started = [_start(_train(bundle, data, *restarts, "--processes", "2"))]
    else:
        started = [_start(_train(bundle, data, *restarts, *_node(rank, port))) for rank in range(2)]
    _wait_for_epoch(bundle, 1, started)
    os.kill(_process_of_rank(bundle, 1), signal.SIGKILL)
    said = "".join(_finish(started))
    assert "Continuing after epoch" in said
    assert file_hashes(bundle) == on_one_machine
