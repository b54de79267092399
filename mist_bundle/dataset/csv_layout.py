"""Cases of a CSV or JSON table of paths; labels and modality are read from the data themselves.

Column names become channel names letter for letter. Columns without image paths (site, age …) go to cases.csv beside
dataset.json, where the fold assignment can use them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mist_bundle.dataset.cases import MASK_COLUMN
from mist_bundle.dataset.conversion import ConversionOptions, Converted, convert
from mist_bundle.dataset.foreign import advising
from mist_bundle.dataset.names import (
    IMAGE_SUFFIXES,
    READABLE,
    RESERVED_COLUMNS,
    channel_name_problem,
    class_name_problem,
)
from mist_bundle.dataset.placed_case import CaseSource, FileCase
from mist_bundle.dataset.tables import ID_COLUMN, Row, Table, read_table
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.wording import nearest_hint


def convert_csv(
    train_csv: Path,
    output: Path,
    test_csv: Path | None = None,
    structures: Sequence[str] = (),
    options: ConversionOptions | None = None,
    optional: Sequence[str] = (),
) -> Converted:
    """Convert the cases of a table to the layout that `DatasetSpec.from_json` reads.

    Args:
        train_csv: columns `id`, `mask` and a column for each image, in the order of the network's inputs. Paths may
            be relative to the table. Columns without image paths are kept in cases.csv.
        output: folder to create; by default also the name of the task.
        test_csv: cases without label (a `mask` column, if present, is kept), with the same image columns.
        structures: columns with a mask file for each structure, in place of `mask`. An empty cell is a structure
            without mask.
        optional: columns of images that a case may lack: their cells may be empty.
        options: see `ConversionOptions`.

    Raises:
        InputError: a table cannot be used, no case is usable, or `output` exists. Nothing is written.
    """
    source = read_csv(Path(train_csv), None if test_csv is None else Path(test_csv), structures, optional)
    return convert(source, Path(output), options or ConversionOptions())


def read_csv(
    train_csv: Path, test_csv: Path | None = None, structures: Sequence[str] = (), optional: Sequence[str] = ()
) -> CaseSource:
    """Find the files of the cases that tables name.

    Raises:
        InputError: a table cannot be read or lacks a column; all problems at once.
    """
    with advising(train_csv, "convert_csv"):
        train = read_table(train_csv)
    if not train.rows:
        raise InputError([*train.problems, Problem(str(train.path), "has no row of a case below its header.")])
    problems = _label_problems(train, structures)
    columns = _image_columns(train, structures, problems)
    required = [column for column in columns if column not in optional]
    problems += _optional_problems(train, columns, optional)
    test = None if test_csv is None else read_table(test_csv)
    if test is not None:
        problems += _missing_columns(test, required)
    if problems:
        raise InputError(problems)
    training, case_problems = _cases(train, columns, required, structures, label_required=not structures)
    testing: list[FileCase] = []
    inputs = _files_named(training)
    if test is not None:
        testing, test_problems = _cases(test, columns, required, (), label_required=False)
        case_problems += test_problems
        inputs += [test.path, *_files_named(testing)]
    if not training:
        raise InputError(case_problems or [Problem(str(train.path), "has no cases.")])
    known = (ID_COLUMN, MASK_COLUMN, *columns, *structures)
    return CaseSource(
        place=train.path,
        columns=columns,
        training=tuple(training),
        testing=tuple(testing),
        optional=tuple(column for column in columns if column in optional),
        structures=tuple(structures),
        problems=tuple(case_problems),
        extra_columns=tuple(column for column in train.columns if column not in known),
        inputs=tuple(inputs),
    )


def _optional_problems(table: Table, columns: Sequence[str], optional: Sequence[str]) -> list[Problem]:
    problems = []
    for name in optional:
        if name in table.columns and not any(name in row.cells for row in table.rows):
            message = f"names {name!r}, but no row of {table.path.name} has a file in that column."
            problems.append(Problem("--optional", f"{message} Leave it out, or fill in the files that there are."))
        elif name not in columns:
            hint = nearest_hint(name, columns) or f"There are {', '.join(columns)}."
            problems.append(Problem("--optional", f"names {name!r}, which is not a column of images. {hint}"))
    if optional and set(columns) <= set(optional):
        problems.append(Problem("--optional", "names every channel; leave out those that a case always has."))
    return problems


def _files_named(cases: Iterable[FileCase]) -> list[Path]:
    files: list[Path] = []
    for case in cases:
        files += [*case.images.values(), *case.masks.values()]
        if case.label is not None:
            files.append(case.label)
    return files


def _label_problems(table: Table, structures: Sequence[str]) -> list[Problem]:
    """What is wrong with the columns of label files."""
    if not structures:
        if MASK_COLUMN in table.columns:
            return []
        hint = nearest_hint(MASK_COLUMN, table.columns)
        message = f'has no column "{MASK_COLUMN}" with the label files. {hint}'.rstrip()
        return [Problem(str(table.path), f"{message} A column for each structure is named with --labels a,b,….")]
    problems = _missing_columns(table, structures)
    if MASK_COLUMN in table.columns:
        message = (
            f'has a column "{MASK_COLUMN}" of label maps beside those of --labels. Remove it, or leave out --labels.'
        )
        problems.append(Problem(str(table.path), message))
    for name in structures:
        wrong = class_name_problem(name)
        if name in RESERVED_COLUMNS:
            wrong = f"is a reserved word ({', '.join(RESERVED_COLUMNS)})"
        if wrong:
            problems.append(Problem("--labels", f"holds {name!r}, which {wrong}. Rename the column."))
    return problems


def _image_columns(table: Table, structures: Sequence[str], problems: list[Problem]) -> tuple[str, ...]:
    """The columns that hold image paths, in the order of the table."""
    columns: list[str] = []
    for column in table.columns:
        if column in RESERVED_COLUMNS or column in structures or not _holds_images(table, column):
            continue
        wrong = channel_name_problem(column)
        if wrong:
            problems.append(Problem(str(table.path), f"has the channel column {column!r}, which {wrong}. Rename it."))
        columns.append(column)
    if not columns:
        problems.append(Problem(str(table.path), f"has no column with image files ({READABLE}) besides the mask."))
    return tuple(columns)


def _holds_images(table: Table, column: str) -> bool:
    return any(row.cells.get(column, "").lower().endswith(IMAGE_SUFFIXES) for row in table.rows)


def _missing_columns(table: Table, names: Sequence[str]) -> list[Problem]:
    problems = []
    for name in names:
        if name not in table.columns:
            message = f'has no column "{name}". {nearest_hint(name, table.columns)}'
            problems.append(Problem(str(table.path), message.rstrip()))
    return problems


def _cases(
    table: Table, columns: Sequence[str], required: Sequence[str], structures: Sequence[str], *, label_required: bool
) -> tuple[list[FileCase], list[Problem]]:
    """The cases of a table, and a problem for each row that is none."""
    cases: list[FileCase] = []
    problems = list(table.problems)
    for row in table.rows:
        findings: list[str] = []
        images = _files(table, row, required, findings, required=True)
        images |= _files(table, row, [column for column in columns if column not in required], findings, required=False)
        masks = _files(table, row, structures, findings, required=False)
        label = _files(table, row, [] if structures else [MASK_COLUMN], findings, required=label_required)
        if findings:
            problems.append(Problem(row.id, " ".join(findings)))
            continue
        cases.append(
            FileCase(id=row.id, images=images, masks=masks, label=label.get(MASK_COLUMN), extra=dict(row.cells))
        )
    return cases, problems


def _files(table: Table, row: Row, columns: Sequence[str], findings: list[str], *, required: bool) -> dict[str, Path]:
    """Column -> file of a row; what is wrong with a cell is added to `findings`."""
    files: dict[str, Path] = {}
    for column in columns:
        if column not in row.cells:
            if required:
                findings.append(f'has no file in the column "{column}" ({table.path.name} {row.place}).')
            continue
        path = table.resolve(row.cells[column])
        if not path.name.lower().endswith(IMAGE_SUFFIXES):
            findings.append(f'"{column}": {path} is not an image of a known kind ({READABLE}).')
        elif not path.is_file():
            findings.append(f'"{column}": {path} does not exist.')
        files[column] = path
    return files
