"""Names of labels from the dseg.tsv of a BIDS derivative, by BIDS's principle of inheritance."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mist_bundle.dataset.bids_names import BidsFile
from mist_bundle.dataset.names import class_name_problem
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import read_text
from mist_bundle.runtime.reading.formats import image_stem

_INDEX, _NAME, _MAPPING = "index", "name", "mapping"


def read_label_names(roots: Sequence[Path], labels: Sequence[BidsFile]) -> tuple[dict[int, str], list[Problem]]:
    """Label value -> name, from the table of each label map.

    Args:
        roots: folders whose own tables hold for all files below them; the last counts most.
        labels: label maps; a table beside one counts more than those above it.

    Returns:
        The names, and a Problem for each table that cannot be read or contradicts another.
    """
    tables: dict[Path, None] = {}  # a dict keeps the order
    for file in labels:
        table = _table_of(file, roots)
        if table is not None:
            tables[table] = None
    names: dict[int, str] = {}
    origin: dict[int, Path] = {}
    problems: list[Problem] = []
    for table in tables:
        try:
            of_table = _read(table)
        except InputError as error:
            problems += error.problems
            continue
        for label, name in of_table.items():
            if names.setdefault(label, name) != name:
                message = f"calls label {label} {name!r}, but {origin[label]} calls it {names[label]!r}."
                problems.append(Problem(str(table), f"{message} Make them agree."))
            origin.setdefault(label, table)
    repeated = {name for name in names.values() if list(names.values()).count(name) > 1}
    for name in sorted(repeated):
        values = sorted(label for label in names if names[label] == name)
        problems.append(Problem(str(origin[values[0]]), f"calls the labels {values} all {name!r}. Tell them apart."))
    return names, problems


def _table_of(file: BidsFile, roots: Sequence[Path]) -> Path | None:
    """The nearest table: beside the file, then in the folders above it up to a root."""
    folders = [file.path.parent, *file.path.parent.parents]
    for root in roots:
        if root in folders:
            continue
        folders.append(root)
    for folder in folders:
        beside = folder / f"{image_stem(file.path)}.tsv"
        if beside.is_file():
            return beside
        for table in sorted(folder.glob(f"*{file.suffix}.tsv")):
            if _applies(table, file):
                return table
        if folder in roots and folder != roots[-1]:
            break
    return None


def _applies(table: Path, file: BidsFile) -> bool:
    """Whether all entities of a table's name are those of the file."""
    *pairs, suffix = table.stem.split("_")
    own = {f"{key}-{value}" for key, value in file.entities.items()}
    return suffix == file.suffix and own.issuperset(pairs)


def _read(table: Path) -> dict[int, str]:
    rows = csv.DictReader(io.StringIO(read_text(table), newline=""), delimiter="\t")
    columns = list(rows.fieldnames or [])
    if _NAME not in columns or (_INDEX not in columns and _MAPPING not in columns):
        message = f'has the columns {columns}; expected "{_INDEX}" and "{_NAME}", separated by tabs.'
        raise InputError(Problem(str(table), message))
    column = _INDEX if _INDEX in columns else _MAPPING
    names: dict[int, str] = {}
    problems: list[Problem] = []
    for row in rows:
        index, name = (row[column] or "").strip(), (row[_NAME] or "").strip()
        wrong = class_name_problem(name)
        if not index.isdecimal():
            problems.append(Problem(str(table), f"has {index!r} in the column {column!r}; expected a label value."))
        elif wrong:
            problems.append(Problem(str(table), f"calls label {index} {name!r}, which {wrong}."))
        else:
            names[int(index)] = name
    if problems:
        raise InputError(problems)
    return names
