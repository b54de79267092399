"""Which class and metric each column of a table of results is about.

A column is called `<class>_<metric>`. Class names and metrics both hold underscores, so two columns can get the same
name: the metric `lesion_dice` of the class `tumor`, and `dice` of `tumor_lesion`. Such columns, and only those, are
called `<class>:<metric>`; no metric's name has a colon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from .menu import ALIASES, METRICS, metric_name

Column = tuple[str, str]  # class, metric
_PLAIN, _CLEAR = "_", ":"


def column_names(classes: Iterable[str], metrics: Sequence[str]) -> dict[Column, str]:
    """(class, metric) -> the name of its column, class by class; no two are the same."""
    columns = [(one, metric) for one in classes for metric in metrics]
    plain = [_PLAIN.join(column) for column in columns]
    shared = {name for name, number in Counter(plain).items() if number > 1}
    names = {
        column: _CLEAR.join(column) if name in shared else name for column, name in zip(columns, plain, strict=True)
    }
    if len(set(names.values())) < len(names):  # a class whose own name has a colon
        return {column: _CLEAR.join(column) for column in columns}
    return names


def split_columns(names: Sequence[str], classes: Iterable[str] | None = None) -> dict[str, Column]:
    """The class and the metric of each column; columns of no class or no metric are left out.

    Where a name can be split in several ways, the way is taken that gives every class every metric, and the longest
    metric where that does not decide.

    Args:
        names: of the columns of one table.
        classes: the names of all classes, where they are known. What follows such a name is a metric then, even one
            that is not on the menu.
    """
    known = None if classes is None else set(classes)
    splits = {name: _splits(name, known) for name in names}
    longest = {name: ways[0] for name, ways in splits.items() if ways}
    shortest = {name: ways[-1] for name, ways in splits.items() if ways}
    return shortest if _is_complete(shortest, known) and not _is_complete(longest, known) else longest


def _splits(name: str, known: set[str] | None) -> list[Column]:
    """All ways to read a name, the longest metric first."""
    ways = []
    for separator in (_PLAIN, _CLEAR):
        for metric in (*METRICS, *ALIASES):
            class_name = name.removesuffix(f"{separator}{metric}")
            if class_name and class_name != name and (known is None or class_name in known):
                ways.append((class_name, metric_name(metric)))
    if not ways and known is not None:
        prefixes = [one for one in known if name.startswith(f"{one}{_PLAIN}")]
        ways = [(one, name[len(one) + 1 :]) for one in sorted(prefixes, key=len, reverse=True)]
    return sorted(ways, key=lambda way: len(way[0]))


def _is_complete(columns: Mapping[str, Column], known: set[str] | None) -> bool:
    """Whether every class has every metric, each in one column."""
    classes = {class_name for class_name, _ in columns.values()}
    metrics = {metric for _, metric in columns.values()}
    all_different = len(set(columns.values())) == len(columns)
    return all_different and len(columns) == len(classes) * len(metrics) and (known is None or classes == known)
