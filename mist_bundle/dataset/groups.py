"""Groups of cases that belong together, such as the visits of a patient, so that no fold is tested on a known patient.

Groupings of different origin (a column of the user's table, a pattern in the ids, copies of a scan) are joined: cases
that any of them puts together stay together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from mist_bundle.errors import InputError, Problem

Groups = Mapping[str, str]  # case id -> name of its group
PATIENT = "patient"  # column of cases.csv: the cases of a patient share a fold by default


def groups_by_pattern(case_ids: Iterable[str], pattern: str, place: str = "--group_pattern") -> dict[str, str]:
    """Read the group of each case from its id.

    Args:
        case_ids: the cases.
        pattern: regular expression that has to match from the start of an id; the text of its parentheses, or the
            whole match without any, names the group. `(.*)_visit` puts "p07_visit1" and "p07_visit2" into "p07".
        place: where the user wrote it, for messages.

    Raises:
        InputError: the pattern is not a regular expression, or does not match some id, or matches an empty text.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(Problem(place, f"is {pattern!r}, which is not a regular expression ({error}).")) from error
    groups: dict[str, str] = {}
    problems = []
    for case_id in case_ids:
        match = expression.match(case_id)
        parts = [] if match is None else list(filter(None, match.groups() or (match[0],)))
        if parts:
            groups[case_id] = " ".join(parts)
        else:
            problems.append(Problem(case_id, f"has no group: {place} {pattern!r} finds none in its id."))
    if problems:
        raise InputError(problems)
    return groups


def groups_of_copies(copies: Iterable[Sequence[str]]) -> dict[str, str]:
    """A group for each set of cases that hold the same scan, named after the first of them."""
    groups = {}
    for case_ids in copies:
        for case_id in case_ids:
            groups[case_id] = min(case_ids)
    return groups


def joined_groups(case_ids: Iterable[str], groupings: Sequence[Groups]) -> dict[str, str]:
    """The smallest groups that no grouping divides.

    Args:
        case_ids: the cases.
        groupings: each may leave cases out, which it then puts with no other.

    Returns:
        Case id -> group, sorted by id. A group is named by the first grouping that has a name for one of its cases;
        a case in no group is a group of its own.
    """
    ids = sorted(case_ids)
    leader = dict(zip(ids, ids, strict=True))

    def find(case_id: str) -> str:
        while leader[case_id] != case_id:
            leader[case_id] = leader[leader[case_id]]
            case_id = leader[case_id]
        return case_id

    for groups in groupings:
        first_of: dict[str, str] = {}
        for case_id in ids:
            if case_id in groups:
                first = first_of.setdefault(groups[case_id], case_id)
                early, late = sorted((find(first), find(case_id)))
                leader[late] = early
    names: dict[str, str] = {}
    taken: set[str] = set()
    for case_id in ids:
        head = find(case_id)
        if head not in names:
            name = _name_of(head, groupings)
            names[head] = head if name in taken else name
            taken.add(names[head])
    return {case_id: names[find(case_id)] for case_id in ids}


def _name_of(case_id: str, groupings: Sequence[Groups]) -> str:
    for groups in groupings:
        if case_id in groups:
            return groups[case_id]
    return case_id


def divided_groups(groups: Groups, parts: Mapping[str, object], name: str = "fold") -> list[Problem]:
    """Report the groups whose cases lie in different parts (folds, or training and test set).

    Args:
        groups: case id -> group.
        parts: case id -> part.
        name: what a part is, for the message.
    """
    parts_of: dict[str, set[str]] = {}
    members: dict[str, list[str]] = {}
    for case_id, part in sorted(parts.items()):
        group = groups.get(case_id, case_id)
        parts_of.setdefault(group, set()).add(str(part))
        members.setdefault(group, []).append(case_id)
    problems = []
    for group, found in parts_of.items():
        if len(found) > 1:
            places = ", ".join(sorted(found))
            message = f"belong to the group {group!r}, which must not be divided, but lie in the {name}s {places}"
            problems.append(Problem(", ".join(members[group]), f"{message}."))
    return problems
