"""Whether this machine has a device, without importing torch, which alone takes seconds."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import sys
from pathlib import Path

_DRIVER = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}


def device_problem(device: str) -> str | None:
    """Return what is wrong with a device ("cpu", "cuda", "cuda:1"), or None; torch checks other kinds itself."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or _torch_is_built_for("hip"):
        return None
    if not _torch_is_built_for("cuda"):
        return f"is {device!r}, but the installed torch computes on CPUs only. Use cpu, or install another torch."
    count = _count_cuda_devices()
    if count == 0:
        return f"is {device!r}, but this machine has no CUDA device. Use cpu."
    if int(number or 0) >= count:
        return f"is {device!r}, but the devices are cuda:0 to cuda:{count - 1}."
    return None


def _torch_is_built_for(backend: str) -> bool:
    """Whether torch's version.py names the backend: `cuda: Optional[str] = '12.4'`, or None."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    return re.search(rf"^{backend}\s*(:.*)?=\s*['\"]", text, flags=re.MULTILINE) is not None


def _count_cuda_devices() -> int:
    """Count the driver's devices; the driver honours CUDA_VISIBLE_DEVICES."""
    try:
        driver = ctypes.CDLL(_DRIVER.get(sys.platform, _DRIVER["linux"]))
        count = ctypes.c_int()
        failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    except (OSError, AttributeError):
        return 0
    return 0 if failed else count.value
