"""Which class and metric each column of a table of results is about.

A column is called `<class>_<metric>`. Class names and metrics both hold underscores, so two columns can get the same
name: the metric `lesion_dice` of the class `tumor`, and `dice` of `tumor_lesion`. Such columns, and only those, are
called `<class>:<metric>`; no metric's name has a colon.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from .menu import ALIASES, METRICS, metric_name

Column = tuple[str, str]  # class, metric
_PLAIN, _CLEAR = "_", ":"


def column_names(classes: Iterable[str], metrics: Sequence[str]) -> dict[Column, str]:
    """(class, metric) -> the name of its column, class by class; no two are the same."""
    plain, clear = {}, {}
    for column in itertools.product(classes, metrics):
        plain[column] = _PLAIN.join(column)
        clear[column] = _CLEAR.join(column)
    occurrences = Counter(plain.values())
    names = dict(plain)
    for column, name in plain.items():
        if occurrences[name] > 1:
            names[column] = clear[column]
    clash = len(set(names.values())) < len(names)  # possible where a class name has a colon itself
    return clear if clash else names


def split_columns(names: Sequence[str], classes: Iterable[str] | None = None) -> dict[str, Column]:
    """The class and the metric of each column; columns of no class or no metric are left out.

    Where a name can be split in several ways, the way is taken that gives every class every metric, and the longest
    metric where that does not decide.

    Args:
        names: of the columns of a table.
        classes: the names of all classes, where they are known. What follows such a name is then a metric, even if it
            is not on the menu.
    """
    known = None if classes is None else set(classes)
    longest, shortest = {}, {}
    for name in names:
        ways = _splits(name, known)
        if ways:
            longest[name], shortest[name] = ways[0], ways[-1]
    return shortest if _is_complete(shortest, known) and not _is_complete(longest, known) else longest


def _splits(name: str, known: set[str] | None) -> list[Column]:
    """All ways to read a name, the longest metric first."""
    ways = []
    for separator in (_PLAIN, _CLEAR):
        for metric in (*METRICS, *ALIASES):
            class_name = name.removesuffix(f"{separator}{metric}")
            if class_name and class_name != name and (known is None or class_name in known):
                ways.append((class_name, metric_name(metric)))
    if not ways:  # a metric that is not on the menu
        for class_name in known or ():
            metric = name.removeprefix(f"{class_name}{_PLAIN}")
            if metric != name:
                ways.append((class_name, metric))
    return sorted(ways, key=lambda way: len(way[0]))


def _is_complete(columns: Mapping[str, Column], known: set[str] | None) -> bool:
    """Whether every class has every metric, each in a column of its own."""
    classes, metrics = set(), set()
    for class_name, metric in columns.values():
        classes.add(class_name)
        metrics.add(metric)
    all_different = len(set(columns.values())) == len(columns)
    return all_different and len(columns) == len(classes) * len(metrics) and (known is None or classes == known)
