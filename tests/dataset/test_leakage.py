from __future__ import annotations

from mist_bundle.dataset.leakage import copies_in_test_set, leaks_between_folds, same_scans, seen_in_training


def test_cases_are_the_same_scan_when_they_share_an_image():
    digests = {"a": ["1", "x"], "b": ["2"], "c": ["2", "3"], "d": ["3", "1"], "e": ["4"], "f": ["", ""], "g": [""]}
    assert same_scans(digests) == [("a", "b", "c", "d")]
    assert same_scans({"a": ["1", "1"], "b": ["2"]}) == []


def test_only_what_lies_in_several_folds_leaks():
    same = [("a", "b"), ("c", "d")]
    (problem,) = leaks_between_folds(same, {"a": 0, "b": 0, "c": 0, "d": 2})
    assert problem.path == "c, d"
    assert "in the folds [0, 2]" in problem.message
    assert leaks_between_folds(same, {"a": 0, "b": 0, "c": 1, "d": 1}) == []


def test_copies_in_and_with_the_test_set():
    assert [one.path for one in copies_in_test_set({"a": ["1"], "b": ["1"], "c": ["2"]})] == ["a, b"]
    seen = seen_in_training({"new": ["9", "7"], "other": [""]}, {"old": ["7", ""]})
    assert list(seen) == ["new"]
    problem = seen["new"]
    assert problem.path == "test set, new"
    assert "holds the scan of old, which is trained on" in problem.message
