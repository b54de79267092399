"""This machine: its GPU as the driver names it, or how fast and how large its CPU is. Without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from mist_bundle.bundle.placement import visible_devices
from mist_bundle.errors import Problem
from mist_bundle.planning.devices import DEVICES, Device, known_device, training_speed
from mist_bundle.planning.estimates import Speed, estimate_warnings, model_estimate
from mist_bundle.planning.plan import Plan
from mist_bundle.runtime.numerics.cores import available_cores
from mist_bundle.runtime.wording import counted

# Products so small that BLAS computes each with the calling thread: where other programs use the cores, its threads
# wait for one another, and the same machine seems fifteen times slower.
MATRIX = 64
PRODUCTS = 256  # of a trial
TRIALS = 8
# the speed of a training on a CPU as a multiple of that of these products; measured (docs/scaling.md)
CPU_SHARE = 1.1
BFLOAT16_GAIN = 1.7  # on CPUs with instructions for it; measured
_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")
_FALLBACK_BYTES = 16 * 2**30


def gpu_here() -> tuple[str, float] | None:
    """Name and gigabytes of the first visible GPU; None without one."""
    visible = visible_devices()
    program = shutil.which("nvidia-smi")
    if not visible or program is None:
        return None
    command = [program, f"--id={visible[0]}", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
        name, _, megabytes = answer.strip().splitlines()[0].rpartition(",")
        return name.strip(), round(float(megabytes) / 1024, 1)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def speed_of_device(name: str) -> Speed:
    """The speed of a row of DEVICES."""
    return _gpu_speed(name, DEVICES[name])


def speed_here() -> Speed:
    """The speed of what trains on this machine by default, roughly: by the GPU's name, or by a product of matrices."""
    gpu = gpu_here()
    if gpu is None:
        return cpu_speed()
    name, memory_gb = gpu
    row = known_device(name, memory_gb)
    known = DEVICES[row or "rtx3090"]
    like = "" if row else " (unknown; taken for a rtx3090)"
    return _gpu_speed(f"{name}{like}", replace(known, memory_gb=memory_gb))


def cpu_speed() -> Speed:
    """The speed of this machine's CPU."""
    cores = available_cores()
    half = _has_bfloat16()
    flops = cores * _matrix_flops() * CPU_SHARE * (BFLOAT16_GAIN if half else 1.0)
    return Speed(
        device=f"this CPU ({counted(cores, 'core')})",
        is_gpu=False,
        half=half,
        flops_per_second=flops,
        memory_gb=_memory_bytes() / 2**30,
    )


def machine_warnings(plan: Plan) -> list[Problem]:
    """What a person should know of training a plan on this machine."""
    found = model_estimate(plan, speed_here())
    return [] if found is None else estimate_warnings(plan, found)


def _gpu_speed(name: str, device: Device) -> Speed:
    return Speed(
        device=name,
        is_gpu=True,
        half=device.half,
        flops_per_second=training_speed(device),
        memory_gb=device.memory_gb,
    )


@cache  # so that two sentences of a command agree
def _matrix_flops() -> float:
    """Operations a second of a core in products of matrices: of its own time, whatever else the machine does."""
    matrices = np.ones((PRODUCTS, MATRIX, MATRIX), dtype=np.float32)
    seconds = []
    for _ in range(TRIALS):
        begun = time.thread_time()
        matrices @ matrices
        seconds.append(time.thread_time() - begun)
    return 2 * PRODUCTS * MATRIX**3 / max(min(seconds), 1e-4)


def _has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return any(flag in flags for flag in _BFLOAT16_FLAGS)


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _FALLBACK_BYTES
