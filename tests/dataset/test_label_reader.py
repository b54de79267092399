from __future__ import annotations

import pytest

from mist_bundle.dataset.label_reader import is_whole, read_final_classes, read_label_names, read_labels


@pytest.fixture
def report():
    """Collects (key, message) pairs."""

    class Report(list):
        def __call__(self, key, message):
            self.append((key, message))

    return Report()


def test_labels_are_sorted(report):
    assert read_labels({"labels": [4, 0, 1]}, report) == (0, 1, 4)
    assert report == []


def test_usable_labels_remain_beside_broken_ones(report):
    assert read_labels({"labels": [0, 1, -1, "x", True, 2**63]}, report) == (0, 1)
    ((key, message),) = report
    assert key == "labels"
    assert f'[-1, "x", true, {2**63}]' in message


def test_a_long_list_of_broken_labels_is_shortened(report):
    read_labels({"labels": [0, 1, *("x" * 100 for _ in range(20))]}, report)
    assert len(report[0][1]) < 700
    assert "…" in report[0][1]
    assert "and 12 more]" in report[0][1]


def test_final_classes(report):
    assert read_final_classes({"final_classes": {"a": [4, 1]}}, (0, 1, 4), report) == {"a": (1, 4)}
    assert report == []
    read_final_classes({"final_classes": {"b": [0, 1]}}, (0, 1, 4), report)
    assert "the background" in report[0][1]


def test_a_label_is_named_by_the_user_or_by_its_own_class_or_by_number(report):
    content = {"label_names": {"1": "liver"}}
    names = read_label_names(content, (0, 1, 2, 3), {"cyst": (2,), "both": (1, 2)}, report)
    assert names == {0: "background", 1: "liver", 2: "cyst", 3: "label_3"}
    assert report == []


@pytest.mark.parametrize(("value", "expected"), [(1, True), (0, True), (True, False), (1.0, False), ("1", False)])
def test_is_whole(value, expected):
    assert is_whole(value) is expected
