"""Conversion of a CSV table of paths to a folder for each case; labels and modality are read from the data themselves.

Column names become channel names letter for letter. Columns without image paths (site, age …) go to cases.csv beside
dataset.json, where the fold assignment can use them.
"""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mist_bundle.dataset.cases import CASE_TABLE_CSV, MASK_COLUMN
from mist_bundle.dataset.channels import modality_of
from mist_bundle.dataset.integrity import check_headers, count_labels
from mist_bundle.dataset.layout import MASK_NAME, description, place_file, raise_failures
from mist_bundle.dataset.names import (
    IMAGE_SUFFIXES,
    READABLE,
    RESERVED_COLUMNS,
    default_label_name,
    file_name_problem,
    nearest_hint,
)
from mist_bundle.dataset.tables import ID_COLUMN, Row, Table, read_table
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import DATASET_JSON, new_folder, write_json, write_text
from mist_bundle.parallel import CaseResults, map_cases

# Air is -1000 HU. No magnetic resonance image goes there, and a CT whose field of view holds no air is rare.
_CT_MINIMUM = -500
_MANY = 8  # values that a message shows


@dataclass(frozen=True, kw_only=True, slots=True)
class _CaseContent:
    """Label values of a case and the lowest intensity of its first image."""

    labels: tuple[int, ...]
    minimum: float


def convert_csv(
    train_csv: Path,
    output: Path,
    test_csv: Path | None = None,
    copy: bool = False,
    overwrite: bool = False,
    task: str | None = None,
    workers: int | str | None = None,
    modality: str | None = None,
) -> Path:
    """Convert the cases of a table to the layout that `DatasetSpec.from_json` reads.

    Args:
        train_csv: columns `id`, `mask` and a column for each channel, in the order of the network's inputs. Paths
            may be relative to the table. Columns without image paths are kept in cases.csv.
        output: folder to create; by default also the name of the task.
        test_csv: cases without label (a `mask` column, if present, is kept), with the same channel columns.
        copy: copy the files instead of linking to them.
        overwrite: replace an existing `output`.
        task: name of the task.
        workers: local processes, or the address of a Dask scheduler.
        modality: "ct", "mr" or "other"; guessed from channel names and intensities by default.

    Returns:
        Path of the new dataset.json. Its labels are the values of the masks; names, licence and merged final classes
        can be filled in by hand.

    Raises:
        InputError: a table cannot be used, no case is usable, or `output` exists. Nothing is written.
        CaseFailure: some cases have missing or damaged files; the others are converted.
    """
    output = Path(output)
    train = read_table(Path(train_csv))
    channels = _channel_columns(train)
    test = read_table(Path(test_csv)) if test_csv is not None else None
    if test is not None:
        _check_columns(test, channels)
    with new_folder(output, overwrite=overwrite, inputs=_sources(train, test, channels)) as folder:
        outcome = _convert_split(train, folder / "train", channels, copy, workers)
        if not outcome.results:
            raise InputError(outcome.problems or [Problem(str(train.path), "has no cases.")])
        problems = outcome.problems
        total = len(train.rows) + len(train.problems)
        if test is not None:
            problems += _convert_split(test, folder / "test", channels, copy, workers).problems
            total += len(test.rows)
        content = description(
            task=task or output.name,
            modality=modality or _guess_modality(channels, outcome.results),
            channels=channels,
            label_names=_label_names(outcome.results),
            has_test=(folder / "test").is_dir(),
        )
        write_json(folder / DATASET_JSON, content)
        _write_case_table(train, channels, folder / CASE_TABLE_CSV)
    raise_failures(problems, total)
    return output / DATASET_JSON


def _sources(train: Table, test: Table | None, channels: Sequence[str]) -> list[Path]:
    """The tables and all files that they name."""
    sources: list[Path] = []
    for table in (train, test):
        if table is None:
            continue
        sources.append(table.path)
        for row in table.rows:
            for column in (*channels, MASK_COLUMN):
                if row.cells.get(column):
                    sources.append(table.resolve(row.cells[column]))
    return sources


def _convert_split(
    table: Table, folder: Path, channels: Sequence[str], copy: bool, workers: int | str | None
) -> CaseResults[_CaseContent]:
    """Place the files of all rows; problems of the table itself come first."""
    place_case = functools.partial(_place_case, table=table, folder=folder, channels=channels, copy=copy)
    outcome = map_cases(place_case, table.rows, name=_case_id, workers=workers, description=f"convert {folder.name}")
    return CaseResults(results=outcome.results, problems=[*table.problems, *outcome.problems])


def _channel_columns(table: Table) -> tuple[str, ...]:
    """The columns that hold image paths, in the order of the table."""
    problems: list[Problem] = []
    if MASK_COLUMN not in table.columns:
        hint = nearest_hint(MASK_COLUMN, table.columns)
        message = f'has no column "{MASK_COLUMN}" with the label files. {hint}'
        problems.append(Problem(str(table.path), message.rstrip()))
    channels: list[str] = []
    for column in table.columns:
        if column in RESERVED_COLUMNS or not _holds_images(table, column):
            continue
        wrong = file_name_problem(column)
        if wrong:
            problems.append(Problem(str(table.path), f"has the channel column {column!r}, which {wrong}. Rename it."))
        channels.append(column)
    if not channels:
        problems.append(Problem(str(table.path), f"has no column with image files ({READABLE}) besides the mask."))
    if problems:
        raise InputError(problems)
    return tuple(channels)


def _holds_images(table: Table, column: str) -> bool:
    return any(row.cells.get(column, "").lower().endswith(IMAGE_SUFFIXES) for row in table.rows)


def _check_columns(table: Table, channels: Sequence[str]) -> None:
    problems = []
    for name in channels:
        if name not in table.columns:
            message = f'has no column "{name}". {nearest_hint(name, table.columns)}'
            problems.append(Problem(str(table.path), message.rstrip()))
    if problems:
        raise InputError(problems)


def _case_id(row: Row) -> str:
    return row.id


def _place_case(row: Row, table: Table, folder: Path, channels: Sequence[str], copy: bool) -> _CaseContent:
    is_training = folder.name == "train"
    columns = list(channels)
    if is_training or MASK_COLUMN in row.cells:
        columns.append(MASK_COLUMN)
    paths = _files_of_row(row, table, columns)
    volumes = _read_on_one_grid(paths)
    labels = _mask_labels(volumes[MASK_COLUMN]) if is_training else ()
    minimum = float(volumes[channels[0]].array.min())  # the first channel decides about CT
    for column, path in paths.items():
        name = MASK_NAME if column == MASK_COLUMN else column
        place_file(path, folder / row.id, name, copy=copy)
    return _CaseContent(labels=labels, minimum=minimum)


def _files_of_row(row: Row, table: Table, columns: Sequence[str]) -> dict[str, Path]:
    """Column -> file of a row.

    Raises:
        InputError: a cell is empty, a file is missing, or its type cannot be read.
    """
    paths: dict[str, Path] = {}
    problems: list[Problem] = []
    for column in columns:
        if column not in row.cells:
            problems.append(Problem(f"{table.path.name} {row.place}", f'has no file in the column "{column}".'))
            continue
        path = table.resolve(row.cells[column])
        if not path.name.lower().endswith(IMAGE_SUFFIXES):
            problems.append(Problem(f'"{column}"', f"{path} is no image of a known kind ({READABLE})."))
        elif not path.is_file():
            problems.append(Problem(f'"{column}"', f"{path} does not exist."))
        paths[column] = path
    if problems:
        raise InputError(problems)
    return paths


def _read_on_one_grid(paths: Mapping[str, Path]) -> dict[str, Volume]:
    """The volumes of a row by column.

    Raises:
        InputError: naming every file that cannot be read, or does not lie on the grid of the first.
    """
    volumes: dict[str, Volume] = {}
    problems: list[Problem] = []
    for column, path in paths.items():
        try:
            volumes[column] = read_volume(path)
        except InputError as error:
            problems += error.problems
    first = next(iter(volumes.values()), None)
    for column, volume in volumes.items():
        if first is not None:
            for finding in check_headers(first, volume.on_grid_of(first)):
                problems.append(Problem(f'"{column}"', finding))
    if problems:
        raise InputError(problems)
    return volumes


def _mask_labels(mask: Volume) -> tuple[int, ...]:
    labels: list[int] = []
    broken: list[float] = []
    for value in count_labels(mask.array):
        if isinstance(value, int) and value >= 0:
            labels.append(value)
        else:
            broken.append(value)
    if broken:
        message = f"holds {broken[:_MANY]}; labels must be whole numbers, 0 or larger."
        raise InputError(Problem(mask.name, message))
    return tuple(labels)


def _label_names(contents: Sequence[_CaseContent]) -> dict[int, str]:
    names = {0: default_label_name(0)}
    for content in contents:
        for label in content.labels:
            names[label] = default_label_name(label)
    return names


def _guess_modality(channels: Sequence[str], contents: Sequence[_CaseContent]) -> str:
    """The modality that the channel names suggest, otherwise CT if most cases hold intensities that only CT has."""
    by_name = modality_of(channels)
    if by_name != "other":
        return by_name
    num_like_ct = 0
    for content in contents:
        num_like_ct += content.minimum <= _CT_MINIMUM
    return "ct" if num_like_ct > len(contents) / 2 else "other"


def _write_case_table(table: Table, channels: Sequence[str], path: Path) -> None:
    """Write the columns that are neither channels nor masks."""
    extra = [column for column in table.columns if column not in (ID_COLUMN, MASK_COLUMN, *channels)]
    if not extra:
        return
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([ID_COLUMN, *extra])
    for row in table.rows:
        cells = [row.id]
        for column in extra:
            cells.append(row.cells.get(column, ""))
        writer.writerow(cells)
    write_text(path, stream.getvalue())
