"""Labels of nnU-Net: classes, regions and the ignored value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mist_bundle.dataset.nnunet_labels import check_distinct, read_labels
from mist_bundle.errors import InputError


def test_values_that_only_regions_have_are_named_after_their_number() -> None:
    entries = {"background": 0, "whole tumor": [3, 1, 2], "enhancing": 3, "ignore": 4}
    labels = read_labels(Path("dataset.json"), entries)
    assert labels.values == (0, 1, 2, 3)
    assert labels.names == {0: "background", 1: "label_1", 2: "label_2", 3: "enhancing"}
    assert labels.final_classes == {"whole tumor": (1, 2, 3), "enhancing": (3,)}
    assert labels.ignore == 4


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"background": 0, "a": "one"}, "expected a whole number, or a list"),
        ({"background": 0, "a": True}, "expected a whole number, or a list"),
        ({"background": 0, "a": None}, "has 'a': null"),
        ({"background": 0, "a": -1}, "expected a whole number, or a list"),
        ({"background": 1, "a": 2}, "background at"),
        ({"background": 0}, "no class besides the background"),
        ({"background": 0, "a": 1, "ignore": [2, 3]}, "expected a single value"),
    ],
)
def test_labels_that_are_not_understood_are_refused(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        read_labels(Path("dataset.json"), entries)
    assert message in str(refusal.value)
    assert "dataset.json: $.labels" in str(refusal.value)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"background": 0, "a": 1, "b": 1}, "gives 1 to a, b"),
        ({"background": 0, "a": [1, 2], "b": [2, 1]}, "gives [1, 2] to a, b"),
        ({"background": 0, "a": 0, "b": 1}, "gives 0 to 'a'"),
        ({"background": 0, "a": 1, "ignore": 1}, "gives 1 to a, ignore"),
    ],
)
def test_names_that_a_training_could_not_tell_apart_are_refused(entries: dict[str, Any], message: str) -> None:
    labels = read_labels(Path("dataset.json"), entries)
    with pytest.raises(InputError) as refusal:
        check_distinct("dataset.json: $.labels", labels)
    assert message in str(refusal.value)
