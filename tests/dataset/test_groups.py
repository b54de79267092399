from __future__ import annotations

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mist_bundle.dataset.groups import divided_groups, groups_by_pattern, groups_of_copies, joined_groups
from mist_bundle.errors import InputError

_IDS = tuple("abcdefghij")
_GROUPING = st.dictionaries(st.sampled_from(_IDS), st.sampled_from("XYZ"))


def test_the_parentheses_of_a_pattern_name_the_group():
    ids = ["p07_visit1", "p07_visit2", "p08_visit1"]
    assert groups_by_pattern(ids, r"(.*)_visit") == {"p07_visit1": "p07", "p07_visit2": "p07", "p08_visit1": "p08"}
    assert groups_by_pattern(ids, r"p\d+")["p08_visit1"] == "p08"
    assert groups_by_pattern(["a-1-x", "a-2-x"], r"(\w)-\d-(\w)") == {"a-1-x": "a x", "a-2-x": "a x"}


def test_every_id_that_a_pattern_does_not_fit_is_named():
    with pytest.raises(InputError) as caught:
        groups_by_pattern(["p07_visit1", "q1", "q2"], r"(.*)_visit")
    assert [problem.path for problem in caught.value.problems] == ["q1", "q2"]
    with pytest.raises(InputError, match="not a regular expression"):
        groups_by_pattern(["a"], "(")


@given(groupings=st.lists(_GROUPING, max_size=4))
def test_joined_groups_are_the_connected_components(groupings):
    graph = networkx.Graph()
    graph.add_nodes_from(_IDS)
    for number, groups in enumerate(groupings):
        for case_id, group in groups.items():
            graph.add_edge(case_id, (number, group))
    expected = set()
    for component in networkx.connected_components(graph):
        expected.add(frozenset(node for node in component if isinstance(node, str)))
    joined = joined_groups(_IDS, groupings)
    found: dict[str, set[str]] = {}
    for case_id, group in joined.items():
        found.setdefault(group, set()).add(case_id)
    assert {frozenset(members) for members in found.values()} == expected
    assert list(joined) == sorted(_IDS)


def test_a_group_keeps_its_name_when_copies_join_it():
    patients = {"a1": "anna", "a2": "anna", "b1": "bert"}
    joined = joined_groups(patients, [patients, groups_of_copies([("a2", "b1")])])
    assert joined == {"a1": "anna", "a2": "anna", "b1": "anna"}


def test_divided_groups_are_named_with_their_folds():
    (problem,) = divided_groups({"a": "p", "b": "p", "c": "q"}, {"a": 0, "b": 2, "c": 1})
    assert problem.path == "a, b"
    assert "'p'" in problem.message
    assert "folds 0, 2" in problem.message
    assert divided_groups({"a": "p", "b": "p"}, {"a": 1, "b": 1}) == []
