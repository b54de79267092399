"""Rows of losses name classes that exist, and terms of composites that are rows themselves."""

from __future__ import annotations

import importlib

import pytest

from mist_bundle.catalog.losses import LOSSES


def _class(target: str) -> object:
    module, _, name = target.replace("scripts.", "mist_bundle.runtime.", 1).rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("name", LOSSES)
def test_the_targets_are_classes(name: str) -> None:
    row = LOSSES[name]
    for target in (row.target, *([row.extended] if row.extended else [])):
        assert isinstance(_class(target), type), target
    assert row.about


def test_composites_name_losses_of_the_menu() -> None:
    assert all(row.base in LOSSES for row in LOSSES.values() if row.base)
