"""The table of GPUs."""

from __future__ import annotations

import pytest

from mist_bundle.planning.devices import DEVICES, REFERENCE, REFERENCE_FLOPS_PER_SECOND, known_device, training_speed


@pytest.mark.parametrize(
    ("name", "memory_gb", "row"),
    [
        ("NVIDIA A100-SXM4-80GB", 80, "a100-80"),
        ("NVIDIA A100-PCIE-40GB", 40, "a100-40"),
        ("NVIDIA H100 80GB HBM3", 79.6, "h100"),
        ("NVIDIA GeForce RTX 4090", 24, "rtx4090"),
        ("Tesla V100-SXM2-32GB", 32, "v100-32"),
        ("Tesla T4", 15, "t4"),
        ("NVIDIA L40S", 45, "l40s"),
        ("NVIDIA GeForce GT 710", 2, None),
    ],
)
def test_a_card_is_known_by_the_name_of_its_driver(name: str, memory_gb: float, row: str | None) -> None:
    assert known_device(name, memory_gb) == row


def test_speeds_follow_the_published_one() -> None:
    assert training_speed(DEVICES[REFERENCE]) == REFERENCE_FLOPS_PER_SECOND
    order = ["t4", "v100", "a100-40", "a100-80", "h100", "h200"]
    speeds = [training_speed(DEVICES[name]) for name in order]
    assert speeds == sorted(speeds)
