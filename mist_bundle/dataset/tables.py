"""Tables that users hand in, CSV or JSON, read as text so that the id "001" stays "001"."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.dataset.names import id_problem, nearest_hint, user_path
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import read_json, read_text

ID_COLUMN = "id"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a table: where it stands in the file (for messages) and its non-empty cells by column name."""

    place: str
    cells: dict[str, str]

    @property
    def id(self) -> str:
        """The case's id, exactly as written."""
        return self.cells[ID_COLUMN]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table with an `id` column: rows with a usable id, and a Problem for each of the others."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]

    def resolve(self, cell: str) -> Path:
        """The path that a cell names; relative ones start at the table's own folder."""
        return self.path.parent / user_path(cell)


def read_table(path: Path) -> Table:
    """Read a CSV file with a header line, or a JSON list of objects, or a JSON object id -> object.

    Raises:
        InputError: the file cannot be read or has no `id` column.
    """
    path = path.absolute()
    columns, rows = _json_rows(path) if path.suffix.lower() == ".json" else _csv_rows(path)
    if ID_COLUMN not in columns:
        hint = nearest_hint(ID_COLUMN, columns)
        raise InputError(Problem(str(path), f'has no column "{ID_COLUMN}"; found {list(columns)}. {hint}'.rstrip()))
    problems: list[Problem] = []
    first: dict[str, str] = {}
    repeated: set[str] = set()
    for row in rows:
        wrong = id_problem(row.cells.get(ID_COLUMN, ""))
        if wrong:
            problems.append(Problem(f"{path} {row.place}", f"the id {row.cells.get(ID_COLUMN, '')!r} {wrong}."))
        elif row.id in first:
            repeated.add(row.id)
            problems.append(Problem(row.id, f"stands in {path.name} {first[row.id]} and again in {row.place}."))
        else:
            first[row.id] = row.place
    good = [row for row in rows if row.cells.get(ID_COLUMN) in first and row.id not in repeated]
    return Table(path=path, columns=columns, rows=tuple(good), problems=tuple(problems))


def _csv_rows(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    text = read_text(path)
    header_line = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header_line.count)  # spreadsheets in many countries write semicolons
    try:
        return _csv_table(path, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(Problem(str(path), f"is no CSV table ({error}).")) from error


def _csv_table(path: Path, lines: Any) -> tuple[tuple[str, ...], list[Row]]:
    columns = [name.strip() for name in next(lines, [])]
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if not columns or repeated:
        found = f"has the columns {repeated} more than once" if repeated else "is empty"
        raise InputError(Problem(str(path), f"{found}; expected a header line with one name for each column."))
    rows: list[Row] = []
    for line in lines:
        if not any(cell.strip() for cell in line):
            continue
        if len(line) > len(columns):
            message = f"line {lines.line_num} has {len(line)} cells, but the header has {len(columns)}."
            raise InputError(Problem(str(path), message))
        cells = {name: cell.strip() for name, cell in zip(columns, line, strict=False) if cell.strip()}
        rows.append(Row(place=f"line {lines.line_num}", cells=cells))
    return tuple(columns), rows


def _json_rows(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    content = read_json(path)
    if isinstance(content, dict):
        content = [{ID_COLUMN: key, **value} if isinstance(value, dict) else value for key, value in content.items()]
    if not isinstance(content, list) or not content or not all(isinstance(item, dict) for item in content):
        message = 'expected a list like [{"id": "case_1", "<channel>": "path"}] or an object {"case_1": {…}}.'
        raise InputError(Problem(str(path), message))
    columns = tuple(dict.fromkeys(key for item in content for key in item))
    return columns, [Row(place=f"entry {index}", cells=_text_cells(item)) for index, item in enumerate(content)]


def _text_cells(item: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in item.items() if isinstance(value, (str, int, float)) and str(value)}
