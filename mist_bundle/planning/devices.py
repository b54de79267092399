"""GPUs that estimates can be made for, with the memory and speed of their data sheets. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """A kind of GPU.

    Attributes:
        memory_gb: memory of the card.
        teraflops: speed with dense matrices in half precision or bfloat16 with float32 sums.
        bandwidth_gbs: bandwidth of its memory in gigabytes per second.
        half: whether it trains in bfloat16 or half precision.
    """

    memory_gb: float
    teraflops: float
    bandwidth_gbs: float
    half: bool = True


# data sheets of NVIDIA
DEVICES: dict[str, Device] = {
    "h200": Device(memory_gb=141, teraflops=989, bandwidth_gbs=4800),
    "h100": Device(memory_gb=80, teraflops=989, bandwidth_gbs=3350),
    "a100-80": Device(memory_gb=80, teraflops=312, bandwidth_gbs=2039),
    "a100-40": Device(memory_gb=40, teraflops=312, bandwidth_gbs=1555),
    "l40s": Device(memory_gb=48, teraflops=362, bandwidth_gbs=864),
    "a40": Device(memory_gb=48, teraflops=150, bandwidth_gbs=696),
    "a6000": Device(memory_gb=48, teraflops=155, bandwidth_gbs=768),
    "a10": Device(memory_gb=24, teraflops=125, bandwidth_gbs=600),
    "l4": Device(memory_gb=24, teraflops=121, bandwidth_gbs=300),
    "rtx4090": Device(memory_gb=24, teraflops=165, bandwidth_gbs=1008),
    "rtx3090": Device(memory_gb=24, teraflops=71, bandwidth_gbs=936),
    "rtx3060": Device(memory_gb=12, teraflops=26, bandwidth_gbs=360),
    "rtx2080ti": Device(memory_gb=11, teraflops=54, bandwidth_gbs=616),
    "v100": Device(memory_gb=16, teraflops=125, bandwidth_gbs=900),
    "v100-32": Device(memory_gb=32, teraflops=125, bandwidth_gbs=900),
    "t4": Device(memory_gb=16, teraflops=65, bandwidth_gbs=320),
}
# NVIDIA's nnU-Net on BraTS, a single A100 80 GB, mixed precision, batch 2: 27.5 images of 128 x 128 x 128 a second
# (DeepLearningExamples, PyTorch/Segmentation/nnUNet); a plain U-Net needs 0.945e12 operations forward for such an image
REFERENCE = "a100-80"
REFERENCE_FLOPS_PER_SECOND = 27.5 * 3 * 0.945e12


def training_speed(device: Device) -> float:
    """Return the operations per second of a training, scaled from the reference by arithmetic speed and bandwidth."""
    known = DEVICES[REFERENCE]
    ratio = (device.teraflops / known.teraflops) * (device.bandwidth_gbs / known.bandwidth_gbs)
    return REFERENCE_FLOPS_PER_SECOND * sqrt(ratio)


def known_device(name: str, memory_gb: float) -> str | None:
    """Return the row of a card by its driver's name, like "NVIDIA A100-SXM4-80GB"; None for unknown cards."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    rows = [row for row in DEVICES if row.partition("-")[0] in plain]
    if not rows:
        return None
    return min(rows, key=lambda row: (-len(row.partition("-")[0]), abs(DEVICES[row].memory_gb - memory_gb)))
