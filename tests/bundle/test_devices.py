"""Whether there is a device: the answer is torch's own."""

from __future__ import annotations

import pytest
import torch

from mist_bundle.bundle import devices
from mist_bundle.bundle.devices import device_problem


def test_the_answer_is_that_of_torch() -> None:
    assert (device_problem("cuda") is None) == torch.cuda.is_available()
    assert device_problem("cpu") is None
    assert device_problem(f"cuda:{torch.cuda.device_count()}")


def test_a_device_beyond_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_count_cuda_devices", lambda: 2)
    monkeypatch.setattr(devices, "_torch_is_built_for", lambda backend: backend == "cuda")
    assert device_problem("cuda:1") is None
    assert device_problem("cuda:2") == "is 'cuda:2', but the devices are cuda:0 to cuda:1."
    monkeypatch.setattr(devices, "_torch_is_built_for", lambda backend: backend == "hip")
    assert device_problem("cuda:7") is None, "left to torch"
