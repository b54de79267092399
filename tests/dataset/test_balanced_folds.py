from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.dataset.balanced_folds import balanced_folds, imbalance
from mist_bundle.dataset.folds import assign_folds, inner_validation


@st.composite
def _studies(draw):
    """Groups of cases with strata, a number of folds, and a seed."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=4, max_size=14))
    members = {}
    strata = {}
    for number, size in enumerate(sizes):
        members[f"g{number:02d}"] = [f"g{number:02d}_{index}" for index in range(size)]
    for case_ids in members.values():
        for case_id in case_ids:
            strata[case_id] = draw(st.lists(st.sampled_from(["site a", "site b", "class x", "class y"]), unique=True))
    return members, strata, draw(st.integers(2, min(5, len(sizes)))), draw(st.integers(0, 99))


def _by_definition(members, strata, folds, num_folds):
    """The documented measure, counted anew."""
    columns = {"": [case_id for case_ids in members.values() for case_id in case_ids]}
    for case_id, own in strata.items():
        for stratum in own:
            columns.setdefault(stratum, []).append(case_id)
    fold_of = {case_id: folds[group] for group, case_ids in members.items() for case_id in case_ids}
    terms = {}
    for name, case_ids in columns.items():
        counts = Counter(fold_of[case_id] for case_id in case_ids)
        terms[name] = sum((counts[fold] / len(case_ids) - 1 / num_folds) ** 2 for fold in range(num_folds))
    of_cases = 4 * terms.pop("")
    return of_cases + sum(terms.values()) / max(1, len(terms))


@given(_studies())
@settings(deadline=None)
def test_every_group_once_no_fold_empty_and_never_worse_than_the_random_split(study):
    members, strata, num_folds, seed = study
    ids = list(strata)
    groups = {case_id: name for name, case_ids in members.items() for case_id in case_ids}
    random_split = assign_folds(ids, num_folds, seed, groups=groups)
    start = {name: random_split[case_ids[0]] for name, case_ids in members.items()}
    folds = balanced_folds(members, strata, num_folds, seed, start)
    assert set(folds) == set(members)
    assert set(folds.values()) == set(range(num_folds))
    ours = _by_definition(members, strata, folds, num_folds)
    assert np.isclose(ours, imbalance(members, strata, folds, num_folds))
    assert ours <= _by_definition(members, strata, start, num_folds) + 1e-9
    assert folds == balanced_folds(dict(reversed(members.items())), strata, num_folds, seed, start)
    drawn = assign_folds(ids[::-1], num_folds, seed, groups=groups, strata=strata)
    assert drawn == {case_id: folds[groups[case_id]] for case_id in sorted(ids)}


def test_the_best_of_all_splits_is_found_for_few_groups():
    members = {f"g{number}": [f"c{number}"] for number in range(6)}
    strata = {f"c{number}": [f"site {'ab'[number % 2]}", f"class {'xy'[number // 3]}"] for number in range(6)}
    best = np.inf
    for assigned in itertools.product(range(3), repeat=6):
        if len(set(assigned)) == 3:
            best = min(best, _by_definition(members, strata, dict(zip(members, assigned, strict=True)), 3))
    folds = balanced_folds(members, strata, 3, 0)
    assert np.isclose(_by_definition(members, strata, folds, 3), best)


def test_a_rare_class_is_spread_over_all_folds():
    ids = [f"{number:03d}" for number in range(100)]
    strata = {case_id: ["class rare"] if number < 10 else [] for number, case_id in enumerate(ids)}
    for seed in range(5):
        folds = assign_folds(ids, 5, seed, strata=strata)
        assert Counter(folds.values()) == dict.fromkeys(range(5), 20)
        assert Counter(folds[case_id] for case_id in ids[:10]) == dict.fromkeys(range(5), 2)
    spread_by_chance = assign_folds(ids, 5, 0)
    assert set(Counter(spread_by_chance[case_id] for case_id in ids[:10]).values()) != {2}


def test_the_inner_validation_gets_its_share_of_each_stratum():
    ids = [f"{number:03d}" for number in range(100)]
    strata = {case_id: ["site a"] if number < 20 else ["site b"] for number, case_id in enumerate(ids)}
    for seed in range(5):
        chosen = inner_validation(ids, 0.1, seed, strata=strata)
        assert len(chosen) == 10
        assert len(set(chosen) & set(ids[:20])) == 2
