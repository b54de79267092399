"""Rows of operations name functions of the runtime."""

from __future__ import annotations

import inspect

import pytest

from mist_bundle.catalog import postprocessing
from mist_bundle.catalog.choice import Choice
from tests.catalog.test_losses import _class

(MENU,) = [
    table for table in vars(postprocessing).values() if isinstance(table, dict) and "remove_small_objects" in table
]


@pytest.mark.parametrize("name", MENU)
def test_an_operation_is_a_function_of_its_name(name: str) -> None:
    row: Choice = MENU[name]
    operation = _class(row.target)
    assert inspect.isfunction(operation)
    assert operation.__name__ == name
    assert row.kwargs.keys() <= inspect.signature(operation).parameters.keys()
