"""Whether this machine has a device, answered without importing torch, which alone takes seconds."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import sys
from pathlib import Path

_DRIVER = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}


def device_problem(device: str) -> str | None:
    """What is wrong with a device of torch's ("cpu", "cuda", "cuda:1"), or None; other kinds are left to torch."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or _torch_is_built_for("hip"):
        return None
    if not _torch_is_built_for("cuda"):
        return f"is {device!r}, but the installed torch computes on CPUs only. Use cpu, or install another torch."
    count = _count_cuda_devices()
    if count == 0:
        return f"is {device!r}, but no CUDA device is found. Use cpu."
    if int(number or 0) >= count:
        return f"is {device!r}, but the devices are cuda:0 to cuda:{count - 1}."
    return None


def _torch_is_built_for(backend: str) -> bool:
    """What torch's version.py says: `cuda: Optional[str] = '12.4'`, or None."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    text = (Path(found.origin).parent / "version.py").read_text(encoding="utf-8")
    return re.search(rf"^{backend}\s*(:.*)?=\s*['\"]", text, flags=re.MULTILINE) is not None


def _count_cuda_devices() -> int:
    """Devices that the driver offers; CUDA_VISIBLE_DEVICES is honoured by it."""
    try:
        driver = ctypes.CDLL(_DRIVER.get(sys.platform, _DRIVER["linux"]))
        count = ctypes.c_int()
        failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    except (OSError, AttributeError):
        return 0
    return 0 if failed else count.value
