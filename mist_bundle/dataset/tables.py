"""The user's tables, CSV or JSON, read as text so that the id "001" stays "001"."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.dataset.names import id_problem, user_path
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import read_json, read_text, write_text
from mist_bundle.runtime.wording import nearest_hint

ID_COLUMN = "id"
# what programs write into cells that hold nothing (pandas, BIDS, spreadsheets), in lower case
_NOTHING = ("nan", "n/a", "<na>", "#n/a")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row of a table.

    Attributes:
        place: position in the file, for messages.
        cells: column name -> text, without cells that are empty or say so ("NaN", "n/a").
    """

    place: str
    cells: dict[str, str]

    @property
    def id(self) -> str:
        """The case's id, exactly as written."""
        return self.cells[ID_COLUMN]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table with an `id` column.

    Attributes:
        path: the file.
        columns: column names, in the order of the file.
        rows: rows with a usable id.
        problems: a Problem for each of the other rows.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]

    def resolve(self, cell: str) -> Path:
        """Return the path in a cell; relative paths start at the folder of the table."""
        return self.path.parent / user_path(cell)


def read_table(path: Path) -> Table:
    """Read a CSV file with a header line, a JSON list of objects, or a JSON object id -> object.

    Raises:
        InputError: the file cannot be read or has no `id` column.
    """
    path = path.absolute()
    columns, rows = _json_rows(path) if path.suffix.lower() == ".json" else _csv_rows(path)
    if ID_COLUMN not in columns:
        message = f'has no column "{ID_COLUMN}"; its columns are {list(columns)}. {nearest_hint(ID_COLUMN, columns)}'
        raise InputError(Problem(str(path), message.rstrip()))
    by_id: dict[str, Row] = {}
    repeated: set[str] = set()
    problems: list[Problem] = []
    for row in rows:
        case_id = row.cells.get(ID_COLUMN, "")
        wrong = id_problem(case_id)
        if wrong:
            problems.append(Problem(f"{path} {row.place}", f"the id {case_id!r} {wrong}."))
        elif case_id in by_id:
            repeated.add(case_id)
            message = f"stands in {path.name} {by_id[case_id].place} and again in {row.place}. Keep a single row."
            problems.append(Problem(case_id, message))
        else:
            by_id[case_id] = row
    for case_id in repeated:
        del by_id[case_id]
    return Table(path=path, columns=columns, rows=tuple(by_id.values()), problems=tuple(problems))


def _csv_rows(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    text = read_text(path)
    if "\0" in text:
        raise InputError(Problem(str(path), "holds a NUL character, which no text does. Save it as UTF-8 text."))
    header_line = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header_line.count)  # spreadsheets in many countries write semicolons
    try:
        _refuse_open_quote(path, text, delimiter)
        return _csv_table(path, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(Problem(str(path), f"is not a CSV table ({error}).")) from error


def _refuse_open_quote(path: Path, text: str, delimiter: str) -> None:
    """Refuse a cell whose quotation mark is never closed: it would swallow all lines below it.

    The reader has no word for it, except in its strict mode, which refuses much else.
    """
    last_line = 0
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for _ in lines:
            last_line = lines.line_num
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            message = f'line {last_line + 1} has a quotation mark (") that is never closed. Close or remove it.'
            raise InputError(Problem(str(path), message)) from error


def _csv_table(path: Path, lines: Any) -> tuple[tuple[str, ...], list[Row]]:
    columns = [name.strip() for name in next(lines, [])]
    expected = "expected a header line with a name for each column."
    if not columns:
        raise InputError(Problem(str(path), f"is empty; {expected}"))
    repeated = sorted(Counter(columns) - Counter(set(columns)))
    if repeated:
        raise InputError(Problem(str(path), f"has the columns {repeated} more than once; {expected}"))
    rows: list[Row] = []
    for line in lines:
        if len(line) > len(columns) and "".join(line).strip():
            message = f"line {lines.line_num} has {len(line)} cells, but the header has {len(columns)}."
            raise InputError(Problem(str(path), message))
        cells: dict[str, str] = {}
        for name, cell in zip(columns, line, strict=False):
            if _holds_something(name, cell):
                cells[name] = cell.strip()
        if cells:
            rows.append(Row(place=f"line {lines.line_num}", cells=cells))
    return tuple(columns), rows


def _json_rows(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    entries = read_json(path)
    if isinstance(entries, dict):
        entries = _entries_with_ids(entries)
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        message = 'expected a list like [{"id": "case_1", "<channel>": "path"}] or an object {"case_1": {…}}.'
        raise InputError(Problem(str(path), message))
    columns: dict[str, None] = {}  # a dict keeps the order in which the keys appear
    rows: list[Row] = []
    for index, entry in enumerate(entries):
        columns.update(dict.fromkeys(entry))
        rows.append(Row(place=f"entry {index}", cells=_text_cells(entry)))
    return tuple(columns), rows


def _entries_with_ids(content: dict[str, Any]) -> list[Any]:
    """The entries of an object id -> object, each with its id; anything else is left for the caller to refuse."""
    entries: list[Any] = []
    for case_id, entry in content.items():
        if isinstance(entry, dict):
            entries.append({ID_COLUMN: case_id, **entry})
        else:
            entries.append(entry)
    return entries


def _text_cells(entry: dict[str, Any]) -> dict[str, str]:
    cells: dict[str, str] = {}
    for key, value in entry.items():
        if isinstance(value, float) and math.isnan(value):  # what pandas has for nothing, also as an id
            continue
        if isinstance(value, (str, int, float)) and _holds_something(key, str(value)):
            cells[key] = str(value)
    return cells


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a CSV table."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, stream.getvalue())


def _holds_something(column: str, cell: str) -> bool:
    """Whether a cell has content; a case may be called "nan"."""
    text = cell.strip()
    return bool(text) and (column == ID_COLUMN or text.lower() not in _NOTHING)
