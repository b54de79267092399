"""The keys of dataset.json that describe labels: "labels", "final_classes", "label_names", "annotated_labels"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mist_bundle.dataset.names import class_name_problem, default_label_name
from mist_bundle.files import as_json
from mist_bundle.runtime.wording import list_names

LARGEST_LABEL = 2**63 - 1  # that a voxel can hold
_MAX_LABELS = 32_767  # that the class indices of prepared arrays can tell apart
EXPECTED_LABELS = "expected the label values of the masks, like [0, 1, 2]."

Report = Callable[[str, str], None]  # takes a key and what is wrong with it


def read_labels(content: Mapping[str, Any], report: Report) -> tuple[int, ...]:
    """Return the label values, sorted, and report those that cannot be used."""
    value = content.get("labels")
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        report("labels", f"is {value!r}; {EXPECTED_LABELS}")
        return ()
    good: list[int] = []
    bad: list[object] = []
    for item in value:
        if is_whole(item) and 0 <= item <= LARGEST_LABEL:
            good.append(item)
        else:
            bad.append(item)
    if bad:
        message = f"holds {_listed(bad)}; every label must be a whole number, 0 or larger, that 64 bits can hold."
        report("labels", message)
    repeated = sorted(Counter(good) - Counter(set(good)))
    if repeated:
        report("labels", f"lists {_listed(repeated)} more than once.")
    labels = tuple(sorted(set(good)))
    if len(labels) > _MAX_LABELS:
        report("labels", f"lists {len(labels)} labels; expected at most {_MAX_LABELS}.")
    if 0 not in labels:
        report("labels", f"is {value!r} without 0, the background. Add 0.")
    elif not bad and len(labels) < 2:
        report("labels", f"is {value!r}; there must be at least 1 label besides the background 0.")
    return labels


def read_final_classes(
    content: Mapping[str, Any], labels: tuple[int, ...], report: Report
) -> dict[str, tuple[int, ...]]:
    """Return the classes to score with their labels; empty if the key is missing."""
    value = content.get("final_classes")
    if value is None:
        return {}
    if not isinstance(value, dict) or not value:
        report("final_classes", f'is {value!r}; expected class names with labels, like {{"tumor": [1, 3]}}.')
        return {}
    classes: dict[str, tuple[int, ...]] = {}
    for name, members in value.items():
        wrong = class_name_problem(name)
        if wrong:
            report("final_classes", f"has a class called {name!r}, which {wrong}. Choose another name.")
        if _are_members(name, members, labels, report):
            classes[name] = tuple(sorted(set(members)))
    return classes


def _are_members(name: str, members: Any, labels: tuple[int, ...], report: Report) -> bool:
    """Whether the members of a class are a list of numbers; reports members that are not foreground labels."""
    key = f"final_classes.{name}"
    if not isinstance(members, list) or not members or not all(is_whole(item) for item in members):
        hint = f" Write [{members}]." if is_whole(members) else ""
        report(key, f"is {members!r}; expected a list of labels.{hint}")
        return False
    unknown = [item for item in members if item not in labels]
    if unknown and labels:
        report(key, f'holds {unknown}, but "labels" is {list(labels)}. Correct "labels" or the class.')
    if 0 in members:
        report(key, f"is {members!r} with 0, the background, which is not part of a class. Remove it.")
    if len(set(members)) < len(members):
        report(key, f"is {members!r}; a label is listed twice.")
    return True


def read_label_names(
    content: Mapping[str, Any],
    labels: tuple[int, ...],
    final_classes: Mapping[str, tuple[int, ...]],
    report: Report,
) -> dict[int, str]:
    """Return a name for every label: the user's, that of the class which holds this label alone, or a default."""
    value = content.get("label_names")
    if value is not None and not isinstance(value, dict):
        report("label_names", f'is {value!r}; expected names by label, like {{"1": "liver"}}.')
    names = dict(zip(labels, map(default_label_name, labels), strict=True))
    for name, members in final_classes.items():
        if len(members) == 1 and members[0] in names:
            names[members[0]] = name
    if isinstance(value, dict):
        names.update(_user_names(value, labels, report))
    if value is not None and len(set(names.values())) < len(names):
        report("label_names", f"uses the same name for several labels: {names}.")
    return names


def _user_names(value: Mapping[str, Any], labels: tuple[int, ...], report: Report) -> dict[int, str]:
    names: dict[int, str] = {}
    for label, name in value.items():
        key = f"label_names.{label}"
        if not label.strip().isdecimal() or int(label) not in labels:
            report("label_names", f'names the label {label!r}, but "labels" is {list(labels)}.')
        elif not isinstance(name, str) or not name.strip():
            report(key, f"is {name!r}; expected a name in quotes.")
        elif class_name_problem(name):
            report(key, f"is {name!r}, which {class_name_problem(name)}. Choose another name.")
        else:
            names[int(label)] = name
    return names


def read_annotated_labels(
    content: Mapping[str, Any], labels: tuple[int, ...], report: Report
) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return column of cases.csv -> value -> labels annotated in its cases; empty if the key is missing."""
    value = content.get("annotated_labels")
    if value is None:
        return {}
    example = 'expected a column of cases.csv with the labels of each of its values, like {"source": {"a": [1, 2]}}.'
    if not isinstance(value, dict) or len(value) != 1 or not isinstance(next(iter(value.values())), dict):
        report("annotated_labels", f"is {value!r}; {example}")
        return {}
    ((column, labels_of),) = value.items()
    annotated: dict[str, tuple[int, ...]] = {}
    for name, members in labels_of.items():
        key = f"annotated_labels.{column}.{name}"
        if not isinstance(members, list) or not all(is_whole(item) for item in members):
            report(key, f"is {members!r}; expected a list of labels.")
        elif labels and not set(members) <= set(labels):
            unknown = sorted(set(members) - set(labels))
            report(key, f'holds {unknown}, but "labels" is {list(labels)}. Correct "labels" or the list.')
        else:
            annotated[name] = tuple(sorted(set(members)))
    return {column: annotated}


def is_whole(value: object) -> bool:
    """Return whether a JSON value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def _listed(values: Sequence[object]) -> str:
    """Values of a list of JSON for a message, which says how many it does not show."""
    texts = [as_json(value, most=60) for value in values]
    return f"[{list_names(texts)}]"
