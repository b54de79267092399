"""Rows of networks name classes that exist, and options that the planner knows."""

from __future__ import annotations

import dataclasses

import pytest

from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.planning.options import PlanOptions
from tests.catalog.test_losses import _class

OPTIONS = {field.name for field in dataclasses.fields(PlanOptions)}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_row(name: str) -> None:
    row = NETWORKS[name]
    assert isinstance(_class(row.target), type)
    assert row.takes <= OPTIONS
    assert row.defaults.keys() <= OPTIONS
    assert row.sizing
    assert row.about
