"""The table that shows how alike the folds are: cases, groups, sites, and presence and volume of each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from mist_bundle.runtime.wording import even_decimals

Row = tuple[str, ...]
Volumes = Mapping[str, Mapping[str, float]]  # case id -> class -> millilitres

_MAX_CLASSES = 40
_MAX_VALUES = 40  # of a column
_MAX_WIDTH = 110  # characters of a line
_GAP = "  "


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldTable:
    """A row for each quantity, a column for each fold and one for all of them.

    Attributes:
        head: texts of the first row.
        rows: texts of the others; the first cell names the quantity.
    """

    head: Row
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, object]:
        """Plain JSON."""
        return {"head": list(self.head), "rows": list(map(list, self.rows))}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> FoldTable:
        """The inverse of `to_json`."""
        return cls(head=tuple(content["head"]), rows=tuple(map(tuple, content["rows"])))

    def lines(self, width: int = _MAX_WIDTH) -> list[str]:
        """The table as lines of plain text; a table wider than `width` continues below, with its quantities again."""
        columns = list(zip(self.head, *self.rows, strict=True))
        quantities, folds = columns[0], columns[1:]
        lines: list[str] = []
        shown = [quantities]
        for fold in folds:
            if len(shown) > 1 and _text_width([*shown, fold]) > width:
                lines += [*_aligned(shown), ""]
                shown = [quantities]
            shown.append(fold)
        return lines + _aligned(shown)

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = []
        for row in (self.head, ("---", *["---:"] * (len(self.head) - 1)), *self.rows):
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |")
        return "\n".join(lines)


def fold_table(
    folds: Mapping[str, int],
    volumes_ml: Volumes,
    groups: Mapping[str, str] | None = None,
    columns: Mapping[str, Mapping[str, str]] | None = None,
    test_ids: Sequence[str] = (),
) -> FoldTable:
    """Describe what each fold holds.

    Args:
        folds: case id -> fold.
        volumes_ml: of each class in each case; a class that was not annotated in a case is not among its keys.
        groups: case id -> group.
        columns: column of the user's table -> case id -> value.
        test_ids: labelled cases of a fixed test set, which belong to no fold and of which only the number is shown.
    """
    parts: list[tuple[str, list[str]]] = []
    for fold in sorted(set(folds.values())):
        parts.append((f"fold {fold}", [case_id for case_id in folds if folds[case_id] == fold]))
    parts.append(("all folds", list(folds)))
    head = ["", *(name for name, _ in parts)]
    members = [case_ids for _, case_ids in parts]
    rows: list[Row] = [("cases", *map(str, map(len, members)))]
    if groups is not None:
        rows.append(("groups", *(str(len({groups[case_id] for case_id in case_ids})) for case_ids in members)))
    for column, values in (columns or {}).items():
        rows += _column_rows(column, values, members)
    rows += _class_rows(volumes_ml, members)
    if test_ids:
        head.append("test set")
        rows = [(*rows[0], str(len(test_ids))), *((*row, "–") for row in rows[1:])]
    return FoldTable(head=tuple(head), rows=tuple(rows))


def _text_width(columns: Sequence[Row]) -> int:
    """Characters of a line that holds these columns."""
    return sum(max(map(len, column)) + len(_GAP) for column in columns) - len(_GAP)


def _aligned(columns: Sequence[Row]) -> list[str]:
    """Lines of a table with these columns, the first to the left and the others to the right."""
    padded = []
    for number, column in enumerate(columns):
        width = max(map(len, column))
        padded.append([cell.rjust(width) if number else cell.ljust(width) for cell in column])
    return [_GAP.join(cells).rstrip() for cells in zip(*padded, strict=True)]


def _column_rows(column: str, values: Mapping[str, str], parts: Sequence[Sequence[str]]) -> list[Row]:
    counts = []
    for case_ids in parts:
        counts.append(Counter(values[case_id] for case_id in case_ids))
    rows: list[Row] = []
    for value in sorted(set(values.values()))[:_MAX_VALUES]:
        rows.append((f"{column} {value}", *(str(count[value]) for count in counts)))
    return rows


def _class_rows(volumes_ml: Volumes, parts: Sequence[Sequence[str]]) -> list[Row]:
    """Two rows for each class: the cases that hold it, of those where it was annotated, and its median volume there."""
    names: dict[str, None] = {}
    for volumes in volumes_ml.values():
        names.update(dict.fromkeys(volumes))
    rows: list[Row] = []
    for name in list(names)[:_MAX_CLASSES]:
        holding: list[str] = []
        typical: list[float | None] = []
        for case_ids in parts:
            annotated = [volumes_ml[case_id][name] for case_id in case_ids if name in volumes_ml[case_id]]
            present = list(filter(None, annotated))
            of_all = "" if len(annotated) == len(case_ids) else f" of {len(annotated)}"
            holding.append(f"{len(present)}{of_all}")
            typical.append(median(present) if present else None)
        rows.append((f"{name}: cases", *holding))
        rows.append((f"{name}: median ml", *_with_even_decimals(typical)))
    return rows


def _with_even_decimals(values: Sequence[float | None]) -> list[str]:
    """Numbers above 0 as text, with the decimals that the smallest needs; "–" where there is none."""
    known = [value for value in values if value is not None]
    decimals = even_decimals(known, show_smallest=True)
    return ["–" if value is None else f"{value:.{decimals}f}" for value in values]
