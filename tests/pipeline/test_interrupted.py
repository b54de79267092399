"""Commands that are interrupted end quickly, with one line, and continue to the end that an undisturbed run reaches."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mist_bundle.bundle.folder import Bundle
from mist_bundle.files import read_json, work_dir_of
from mist_bundle.runtime.folds.manifest import file_hashes
from mist_bundle.trust.audit import require_audited

pytestmark = pytest.mark.slow
LONG = ["--epochs", "3", "--val_interval", "1", "--steps_per_epoch", "12"]


def _start(words: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mist_bundle", *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _wait_for_epoch(bundle: Path, epoch: int) -> None:
    until = time.monotonic() + 120
    while (Bundle(bundle).fold(0).status or {"epoch": 0})["epoch"] < epoch:
        assert time.monotonic() < until, "no epoch ended"
        time.sleep(0.05)


def _finish(words: list[str]) -> str:
    process = _start(words)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-2000:]
    return said


@pytest.fixture(scope="module")
def undisturbed(fresh_bundle: Path, tmp_path_factory: pytest.TempPathFactory, phantom_json: Path) -> dict[str, str]:
    bundle = tmp_path_factory.mktemp("undisturbed") / fresh_bundle.name
    shutil.copytree(fresh_bundle, bundle)
    _finish(["train", str(bundle), *LONG, "--dataset_dir", str(phantom_json.parent / "train")])
    return file_hashes(bundle)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_training_goes_on_after_a_signal_to_the_same_bundle(
    own_bundle: Path, phantom_json: Path, undisturbed: dict[str, str], number: signal.Signals
) -> None:
    words = ["train", str(own_bundle), *LONG, "--dataset_dir", str(phantom_json.parent / "train")]
    before = file_hashes(own_bundle)
    process = _start(words)
    _wait_for_epoch(own_bundle, 1)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert file_hashes(own_bundle) == before
    require_audited(own_bundle, trust=False)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 128 + number
        assert "Traceback" not in said
        (line,) = [line for line in said.splitlines() if line.startswith("Interrupted by")]
        assert f"Interrupted by {number.name}. Fold 0: epoch " in line
        assert f"Continue with: mist-bundle train {own_bundle} --fold 0 --resume" in line
        words = line.partition("mist-bundle ")[2].split()
    _until_free(own_bundle)
    said = _finish(words if number != signal.SIGKILL else [*words, "--resume"])
    assert "Continuing after epoch" in said
    assert file_hashes(own_bundle) == undisturbed


def _until_free(bundle: Path) -> None:
    until = time.monotonic() + 30
    while Bundle(bundle).fold(0).is_being_trained():
        assert time.monotonic() < until, "the training lives on"
        time.sleep(0.05)


def test_a_full_disk_is_reported_in_one_sentence_and_costs_nothing(own_bundle: Path, phantom_json: Path) -> None:
    words = ["train", str(own_bundle), "--dataset_dir", str(phantom_json.parent / "train"), "--val_interval", "1"]
    limited = f"ulimit -f 2000; exec {sys.executable} -m mist_bundle {' '.join(words)}"  # 2 MB: less than a state
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["bash", "-c", limited], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr[-2000:]
    last = done.stderr.strip().splitlines()[-1]
    assert "File too large" in last, last
    assert "Traceback" not in done.stderr
    assert not list(work_dir_of(own_bundle).glob("fold_0/*.pt"))
    require_audited(own_bundle, trust=False)
    _finish(words)
    assert read_json(work_dir_of(own_bundle) / "fold_0/status.json")["epoch"] == 2
