"""SIGINT and SIGTERM end a training with a sentence and the command that continues."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from mist_bundle.runtime.handlers.interruption import Interruption, without_resume

PROGRAM = """
import os, signal, sys
from mist_bundle.runtime.handlers.interruption import Interruption
sys.argv = ["monai.bundle", "run", "training", "--resume", "false", "--epochs", "5"]
Interruption(lambda: "Epoch 3 of 5 is kept.", silent=sys.stdin.read() == "silent").begin()
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("words", ["", "silent"])
def test_a_signal_ends_the_program(words: str) -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, input=words, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGTERM
    sentence = (
        "\nInterrupted. Epoch 3 of 5 is kept. Continue with: "
        "python -m monai.bundle run training --epochs 5 --resume true\n"
    )
    assert done.stderr == ("" if words == "silent" else sentence)


@pytest.mark.parametrize(
    ("local", "launcher"),
    [("2", "torchrun --standalone --nproc_per_node 2 -m"), ("1", "torchrun --nnodes 2 --nproc_per_node 1 ... -m")],
)
def test_under_torchrun_the_command_is_its(local: str, launcher: str) -> None:
    environment = {**os.environ, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": local, "TORCHELASTIC_RUN_ID": "x"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=False, env=environment)
    assert f"Continue with: {launcher} monai.bundle run training --epochs 5 --resume true" in done.stderr


def test_former_handlers_come_back() -> None:
    original = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        interruption = Interruption(lambda: "")
        interruption.begin()
        assert signal.getsignal(signal.SIGINT) == interruption._interrupted
        interruption.end()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, original)


def test_a_program_that_handles_signals_is_left_alone() -> None:
    def own(*_: object) -> None:
        pass

    former = signal.signal(signal.SIGTERM, own)
    try:
        interruption = Interruption(lambda: "")
        interruption.begin()
        assert signal.getsignal(signal.SIGTERM) is own
        interruption.end()
    finally:
        signal.signal(signal.SIGTERM, former)


def test_other_threads_cannot_handle_signals() -> None:
    former = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    thread = threading.Thread(target=Interruption(lambda: "").begin)
    thread.start()
    thread.join()
    assert signal.signal(signal.SIGTERM, former) == signal.SIG_DFL


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run --resume true --epochs 5", "run --epochs 5"),
        ("run --epochs 5 --resume", "run --epochs 5"),
        ("run --resume=true x", "run x"),
        ("run --resume_from x", "run --resume_from x"),
    ],
)
def test_resume_is_taken_out_of_the_command(words: str, expected: str) -> None:
    assert " ".join(without_resume(words.split())) == expected
