"""MONAI's classes that a bundle may name."""

from __future__ import annotations

import importlib
import inspect

import pytest

from mist_bundle.trust.audit.known_classes import KNOWN_CLASSES
from mist_bundle.trust.audit.targets import is_accepted, is_dangerous


@pytest.mark.parametrize("name", sorted(KNOWN_CLASSES))
def test_each_is_a_class_of_the_installed_monai(name: str) -> None:
    module, _, leaf = name.rpartition(".")
    assert inspect.isclass(getattr(importlib.import_module(module), leaf))
    assert is_accepted(name)
    assert not is_dangerous(name)


@pytest.mark.parametrize(
    "name",
    ["monai.networks.nets.EfficientNetBN", "monai.networks.nets.HoVerNet", "monai.losses.PerceptualLoss"],
)
def test_classes_that_fetch_are_not_among_them(name: str) -> None:
    assert name not in KNOWN_CLASSES
    assert not is_accepted(name)
