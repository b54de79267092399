"""Folds that are trained at the same time: what is shown of them, and that they end as they do one after the other."""

from __future__ import annotations

import io
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.bundle.folder import Bundle
from mist_bundle.files import work_dir_of, write_json
from mist_bundle.pipeline.side_by_side import FoldsDisplay
from mist_bundle.runtime.folds.manifest import file_hashes
from tests.conftest import TINY

slow = pytest.mark.slow
TRAIN = ("--fold", "all", "--epochs", "3", "--val_interval", "1")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise io.UnsupportedOperation


def _status(bundle: Path, fold: int, epoch: int, score: float | None) -> None:
    write_json(work_dir_of(bundle) / f"fold_{fold}/status.json", {"epoch": epoch, "epochs": 4, "best_score": score})


def test_a_terminal_shows_all_running_folds_in_one_line(own_bundle: Path) -> None:
    _status(own_bundle, 0, 3, 0.81234)
    _status(own_bundle, 1, 1, None)
    terminal = _Terminal()
    with FoldsDisplay(Bundle(own_bundle), [0, 1, 2, 3], terminal) as display:
        display.show(1, "warning: case 7: left out")
        display.refresh([0, 1, 2])
    said = terminal.getvalue()
    assert "fold 1: warning: case 7: left out\n" in said
    last = said.split("\r")[-1]
    assert " 25% |" in last, "4 of 16 epochs"
    assert "| fold 0 3/4 best 0.812, fold 1 1/4, fold 2 begins [" in last


def test_off_a_terminal_there_are_only_lines_of_folds(own_bundle: Path) -> None:
    _status(own_bundle, 0, 3, 0.8)
    stream = io.StringIO()
    with FoldsDisplay(Bundle(own_bundle), [0], stream) as display:
        display.show(0, "epoch 3/4  loss 0.1")
        display.show(0, "")
        display.refresh([0])
    assert stream.getvalue() == "fold 0: epoch 3/4  loss 0.1\n"


@pytest.fixture(scope="module")
def three_folds(phantom_json: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("three")
    return pipeline.autoconfig(phantom_json, folder, replace(TINY, folds=3, steps_per_epoch=6)).bundle


@pytest.fixture(scope="module")
def in_sequence(three_folds: Path, tmp_path_factory: pytest.TempPathFactory, phantom_json: Path) -> dict[str, str]:
    """Hashes of the bundle after its folds were trained one after the other."""
    bundle = _copy(three_folds, tmp_path_factory.mktemp("sequence"))
    process = _start(["train", str(bundle), *TRAIN, "--dataset_dir", str(phantom_json.parent / "train")])
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-2000:]
    return file_hashes(bundle)


def _copy(bundle: Path, folder: Path) -> Path:
    shutil.copytree(bundle, folder / bundle.name)
    return folder / bundle.name


def _start(words: Sequence[str], stderr: int = subprocess.STDOUT) -> subprocess.Popen[str]:
    # the same number of threads for both ways: sums of other parts of an array differ in their last bits
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mist_bundle", *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)


@slow
def test_two_at_a_time_give_the_same_bundle_as_one_after_the_other(
    three_folds: Path, in_sequence: dict[str, str], tmp_path: Path, phantom_json: Path
) -> None:
    bundle = _copy(three_folds, tmp_path)
    data = ["--dataset_dir", str(phantom_json.parent / "train")]
    process = _start(["train", str(bundle), *TRAIN, *data, "--parallel", "2"])
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-2000:]
    assert "Training folds 0, 1, 2 (2 at a time)" in said
    assert file_hashes(bundle) == in_sequence
    seen = re.findall(r"^fold (\d): .* epoch (\d)/3 ", said, re.MULTILINE)
    assert sorted(seen) == [(str(fold), str(epoch)) for fold in range(3) for epoch in (1, 2, 3)]
    started = {fold: said.index(f"fold {fold}: ") for fold in range(3)}
    assert max(started[0], started[1]) < said.index("Training ended") < started[2]


@slow
def test_a_fold_that_fails_is_named_and_the_others_are_trained(
    three_folds: Path, in_sequence: dict[str, str], tmp_path: Path, phantom_json: Path
) -> None:
    bundle = _copy(three_folds, tmp_path)
    work_dir_of(bundle).mkdir()
    (work_dir_of(bundle) / "fold_1").write_text("a file where a folder is needed")
    data = ["--dataset_dir", str(phantom_json.parent / "train")]
    process = _start(["train", str(bundle), *TRAIN, *data, "--parallel", "2"])
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 1, said[-2000:]
    assert "1 of 3 trainings failed:\nfold 1: " in said
    assert str(work_dir_of(bundle) / "fold_1") in said.rpartition("fold 1: ")[2]
    for fold in (0, 2):
        weights = f"models/fold_{fold}.pt"
        assert file_hashes(bundle)[weights] == in_sequence[weights]
    assert not (bundle / "models/fold_1.pt").exists()


@slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_folds_and_the_command_that_it_names_goes_on(
    three_folds: Path, in_sequence: dict[str, str], tmp_path: Path, phantom_json: Path, number: signal.Signals
) -> None:
    bundle = _copy(three_folds, tmp_path)
    data = ["--dataset_dir", str(phantom_json.parent / "train")]
    master, terminal = pty.openpty()
    process = _start(["train", str(bundle), *TRAIN, *data, "--parallel", "2"], stderr=terminal)
    os.close(terminal)
    shown: list[bytes] = []
    reader = threading.Thread(target=_read_all, args=(master, shown))
    reader.start()
    _wait_for_epoch(bundle, [0, 1])
    process.send_signal(number)
    process.communicate(timeout=60)
    reader.join(10)
    said = b"".join(shown).decode()
    assert process.returncode == 128 + number
    assert _processes_with(str(bundle)) == []
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("Interrupted by")]
    assert re.search(r"Fold 0: epoch \d of 3 is kept\. Fold 1: epoch \d of 3 is kept\. Continue with: ", line)
    words = shlex.split(line.partition("mist-bundle ")[2])
    assert words[:5] == ["train", str(bundle), "--fold", "0,1,2", "--resume"]
    assert words[-2:] == ["--parallel", "2"]
    process = _start(words)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-2000:]
    assert "fold 0: " in said
    assert "Continuing after epoch" in said
    assert file_hashes(bundle) == in_sequence


def _read_all(master: int, shown: list[bytes]) -> None:
    while True:
        try:
            block = os.read(master, 1 << 16)
        except OSError:  # how Linux says that nobody holds the other end any more
            return
        if not block:
            return
        shown.append(block)


def _wait_for_epoch(bundle: Path, folds: Sequence[int]) -> None:
    until = time.monotonic() + 120
    for fold in folds:
        while Bundle(bundle).fold(fold).status is None:
            assert time.monotonic() < until, "no epoch ended"
            time.sleep(0.05)


def _processes_with(word: str) -> list[str]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in command:
            found.append(command)
    return found


@slow
def test_a_whole_run_trains_its_folds_side_by_side(phantom_json: Path, tmp_path: Path) -> None:
    words = ["run_all", str(phantom_json), "--output", str(tmp_path), "--recipe", "quick", "--folds", "2"]
    words += ["--epochs", "1", "--steps_per_epoch", "1", "--patch_size", "16,16,16", "--parallel", "2"]
    process = _start(words)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-2000:]
    assert "Training folds 0, 1 (2 at a time)" in said
    for fold in (0, 1):
        assert re.search(rf"^fold {fold}: .* epoch 1/1 ", said, re.MULTILINE)
    (bundle,) = tmp_path.glob("*_segmentation")
    work = work_dir_of(bundle)
    tables = [work / "fold_0/results.csv", work / "fold_1/results.csv"]
    shared = list(map(Path.read_bytes, tables))
    for fold in (0, 1):
        shutil.rmtree(work / f"fold_{fold}/predictions")
        tables[fold].unlink()
    pipeline.evaluate_folds(bundle, None, {})  # in a single process
    assert list(map(Path.read_bytes, tables)) == shared
