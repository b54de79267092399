"""What is known of this machine without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle.bundle import placement
from mist_bundle.pipeline import machine


@pytest.fixture
def a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An nvidia-smi that answers as that of a machine with one RTX 4090 does."""
    program = tmp_path / "nvidia-smi"
    answer = "case $* in *memory.total*) echo 'NVIDIA GeForce RTX 4090, 24564';; *) echo 0;; esac"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(placement, "_torch_version", lambda: "2.9")
    monkeypatch.delenv(placement.VISIBLE, raising=False)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
@pytest.mark.usefixtures("a_card")
def test_a_card_is_asked_for_its_name_and_memory() -> None:
    assert machine.gpu_here() == ("NVIDIA GeForce RTX 4090", 24.0)
    speed = machine.speed_here()
    assert speed.is_gpu
    assert speed.memory_gb == 24.0
    assert speed.flops_per_second == machine.speed_of_device("rtx4090").flops_per_second


def test_a_cpu_has_a_speed() -> None:
    speed = machine.cpu_speed()
    assert not speed.is_gpu
    assert 1e8 < speed.flops_per_second < 1e15
    assert 0.2 < speed.memory_gb < 1e5
    assert "core" in speed.device


@pytest.mark.slow  # compares times, of a process and of its thread
def test_the_cpu_is_measured_by_the_calling_thread_alone() -> None:
    """Threads of BLAS wait for one another on a busy machine, and the speed was off by a factor of fifteen."""
    script = (
        "import time\n"
        "from mist_bundle.pipeline import machine\n"
        "machine._matrix_flops()  # threads start when they are first needed\n"
        "whole, own = time.process_time(), time.thread_time()\n"
        "machine._matrix_flops.cache_clear()\n"
        "machine._matrix_flops()\n"
        "print((time.process_time() - whole) / (time.thread_time() - own))\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(answer.stdout) < 1.5
