from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mist_bundle.dataset.folds import assign_folds, inner_validation
from mist_bundle.errors import InputError

_IDS = st.lists(st.text("abc123_", min_size=1, max_size=6), min_size=2, max_size=40, unique=True)
_SEEDS = st.integers(0, 2**32 - 1)


def test_the_folds_are_those_of_scikit_learn_and_hence_of_mist():
    # KFold(5, shuffle=True, random_state=42) of scikit-learn 1.7 on 12 sorted ids, as mist 2.3.0 calls it
    expected = {10: 0, 9: 0, 0: 0, 8: 1, 5: 1, 2: 1, 1: 2, 11: 2, 4: 3, 7: 3, 3: 4, 6: 4}
    folds = assign_folds([f"{index:02d}" for index in range(12)], 5, 42)
    assert folds == {f"{index:02d}": expected[index] for index in range(12)}


def test_against_the_definition_of_shuffled_k_folds():
    for num_cases, num_folds, seed in [(100, 5, 42), (23, 4, 0), (7, 7, 3)]:
        indices = np.arange(num_cases)
        np.random.RandomState(seed).shuffle(indices)
        sizes = [num_cases // num_folds + (fold < num_cases % num_folds) for fold in range(num_folds)]
        starts = np.cumsum([0, *sizes])
        folds = assign_folds([f"{index:03d}" for index in range(num_cases)], num_folds, seed)
        for fold in range(num_folds):
            members = sorted(f"{index:03d}" for index in indices[starts[fold] : starts[fold + 1]])
            assert members == [case_id for case_id, found in folds.items() if found == fold]


@given(ids=_IDS, seed=_SEEDS, data=st.data())
def test_every_id_once_in_balanced_folds_whatever_the_order(ids, seed, data):
    num_folds = data.draw(st.integers(2, len(ids)))
    folds = assign_folds(ids, num_folds, seed)
    assert list(folds) == sorted(ids)
    sizes = Counter(folds.values())
    assert set(sizes) == set(range(num_folds))
    assert max(sizes.values()) - min(sizes.values()) <= 1
    shuffled = list(ids)
    random.Random(seed).shuffle(shuffled)
    assert assign_folds(shuffled, num_folds, seed) == folds


@given(ids=_IDS, seed=_SEEDS, data=st.data())
def test_groups_stay_together(ids, seed, data):
    groups = {case_id: data.draw(st.sampled_from("ABCDEFG")) for case_id in ids}
    names = sorted(set(groups.values()))
    if len(names) < 2:
        groups[ids[0]] = "H"
        names = sorted(set(groups.values()))
    num_folds = data.draw(st.integers(2, len(names)))
    folds = assign_folds(ids, num_folds, seed, groups=groups)
    assert set(folds) == set(ids)
    assert set(folds.values()) == set(range(num_folds))
    for name in names:
        assert len({folds[case_id] for case_id in ids if groups[case_id] == name}) == 1
    largest = max(Counter(groups.values()).values())
    sizes = Counter(folds.values()).values()
    assert max(sizes) - min(sizes) <= largest
    assert assign_folds(ids[::-1], num_folds, seed, groups=groups) == folds


def test_as_many_folds_as_sites_leaves_one_site_out():
    groups = {f"{site}{index}": site for site, count in [("x", 9), ("y", 1), ("z", 3)] for index in range(count)}
    folds = assign_folds(list(groups), 3, 0, groups=groups)
    assert len({(groups[case_id], fold) for case_id, fold in folds.items()}) == 3


def test_the_seed_matters():
    ids = [str(index) for index in range(50)]
    assert assign_folds(ids, 5, 0) != assign_folds(ids, 5, 1)


def test_a_fold_file_is_taken_as_it_is():
    given_folds = {"b": 1, "a": 0, "c": 1, "excluded": 7}
    assert assign_folds(["c", "a", "b"], 2, 0, fold_file=given_folds) == {"a": 0, "b": 1, "c": 1}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_folds": 5}, r"only 3 cases.*at most 3"),
        ({"num_folds": 1}, "at least 2"),
        ({"num_folds": 2, "fold_file": {"a": 0, "b": 1}}, "c: has no fold"),
        ({"num_folds": 2, "fold_file": {"a": 0, "b": 1, "c": 2}}, "c: is in fold 2; expected 0 to 1"),
        ({"num_folds": 2, "fold_file": {"a": 0, "b": 0, "c": 0}}, r"fold \[1\]"),
        ({"num_folds": 2, "groups": {"a": "x", "b": "y"}}, "c: has no group"),
        ({"num_folds": 3, "groups": {"a": "x", "b": "y", "c": "x"}}, "only 2 groups"),
    ],
)
def test_impossible_folds(arguments, words):
    with pytest.raises(InputError, match=words):
        assign_folds(["a", "b", "c"], seed=0, **arguments)


def test_repeated_ids():
    with pytest.raises(InputError, match=r"\['a'\] occur more than once"):
        assign_folds(["a", "b", "a"], 2, 0)


@given(ids=_IDS, seed=_SEEDS, fraction=st.floats(0, 1, exclude_max=True))
def test_inner_validation_takes_the_asked_share(ids, seed, fraction):
    chosen = inner_validation(ids, fraction, seed)
    assert set(chosen) <= set(ids)
    assert len(set(chosen)) == len(chosen)
    assert list(chosen) == sorted(chosen)
    assert inner_validation(ids[::-1], fraction, seed) == chosen
    if fraction == 0:
        assert chosen == ()
    else:
        assert 1 <= len(chosen) <= len(ids) - 1
        assert abs(len(chosen) - fraction * len(ids)) <= 1


@given(ids=_IDS, seed=_SEEDS, fraction=st.floats(0.01, 0.99), data=st.data())
def test_inner_validation_keeps_groups_together(ids, seed, fraction, data):
    groups = {case_id: data.draw(st.sampled_from("AB")) for case_id in ids}
    chosen = inner_validation(ids, fraction, seed, groups)
    assert 1 <= len(chosen) < len(ids)
    if len(set(groups.values())) == 2:
        assert len({groups[case_id] for case_id in chosen}) == 1
        assert {groups[case_id] for case_id in chosen}.isdisjoint(groups[i] for i in ids if i not in chosen)


def test_inner_validation_of_very_few():
    assert inner_validation(["a"], 0.5, 0) == ()
    assert inner_validation([], 0.5, 0) == ()
    assert len(inner_validation(["a", "b"], 0.01, 0)) == 1


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2])
def test_inner_validation_refuses_shares_that_are_none(fraction):
    with pytest.raises(InputError, match="up to, not including, 1"):
        inner_validation(["a", "b"], fraction, 0)
