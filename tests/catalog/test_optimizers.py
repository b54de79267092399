"""Every optimizer takes a step downhill with the arguments of its row."""

from __future__ import annotations

import pytest
import torch
from monai.utils import optional_import

from mist_bundle.catalog.optimizers import OPTIMIZERS


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_goes_downhill(name: str) -> None:
    module, _, attribute = OPTIMIZERS[name].target.rpartition(".")
    optimizer_class, found = optional_import(module, name=attribute)
    assert found
    weight = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = optimizer_class([weight], lr=0.1, weight_decay=0.0, **OPTIMIZERS[name].kwargs)
    before = weight.detach().square().sum()
    weight.square().sum().backward()
    optimizer.step()
    assert weight.detach().square().sum() < before
