"""The checks without a schema agree with MONAI's own schema where both look."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.verify.metadata import REQUIRED, metadata_problems, schema_problems


@pytest.fixture
def metadata(fresh_bundle: Path) -> dict[str, Any]:
    return dict(json.loads((fresh_bundle / "configs/metadata.json").read_text()))


@pytest.fixture(scope="session")
def schema(shared_data: Path) -> dict[str, Any]:
    path = shared_data / "monai_meta_schema_20240725.json"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    return dict(json.loads(path.read_text()))


def test_generated_metadata_pass_both(metadata: dict[str, Any], schema: dict[str, Any]) -> None:
    assert metadata_problems(metadata) == []
    assert schema_problems(metadata, schema) == []


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    **{field: lambda content, field=field: content.pop(field) for field in REQUIRED.split()},
    "a number as text": lambda content: content.update(task=3),
    "references": lambda content: content.update(references="a book"),
    "changelog": lambda content: content.update(changelog=[]),
    "no outputs": lambda content: content["network_data_format"].pop("outputs"),
    "channels": lambda content: content["network_data_format"]["inputs"]["image"].update(num_channels="two"),
    "range": lambda content: content["network_data_format"]["inputs"]["image"].update(value_range="0 to 1"),
    "no dtype": lambda content: content["network_data_format"]["outputs"]["pred"].pop("dtype"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_the_schema_refuses_is_named_without_it(
    name: str, metadata: dict[str, Any], schema: dict[str, Any]
) -> None:
    damaged = copy.deepcopy(metadata)
    DAMAGE[name](damaged)
    assert schema_problems(damaged, schema), "MONAI's schema accepts that"
    assert len(metadata_problems(damaged)) == 1, metadata_problems(damaged)


def test_values_of_a_wrong_kind_are_shown_as_json_has_them(metadata: dict[str, Any]) -> None:
    metadata.update(task=None, changelog=[True])
    assert metadata_problems(metadata) == [
        "'task' is null; expected text.",
        "'changelog' is [true]; expected an object.",
    ]
