"""From a CSV table of paths to one folder for each case, with labels and modality found in the data themselves.

Column names become channel names letter for letter. Columns that hold no paths of images (site, age …) go to cases.csv
beside dataset.json, where the fold assignment can use them.
"""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mist_bundle.dataset.cases import CASE_TABLE_CSV, MASK_COLUMN
from mist_bundle.dataset.integrity import count_labels
from mist_bundle.dataset.layout import MASK_NAME, description, place_file, raise_failures
from mist_bundle.dataset.names import IMAGE_SUFFIXES, READABLE, RESERVED_COLUMNS, file_name_problem, nearest_hint
from mist_bundle.dataset.tables import ID_COLUMN, Row, Table, read_table
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import DATASET_JSON, new_folder, write_json, write_text
from mist_bundle.parallel import map_cases

_MR_WORDS = ("t1", "t2", "flair", "adc", "dwi", "mr", "swi", "pd")

# Air is -1000 HU. No magnetic resonance image goes there, and a CT whose field of view holds no air is rare.
_CT_MINIMUM = -500


@dataclass(frozen=True, kw_only=True, slots=True)
class _Placed:
    """What one case tells about the dataset: its label values and the lowest intensity of its first image."""

    labels: tuple[int, ...]
    minimum: float


def convert_csv(
    train_csv: Path,
    output: Path,
    test_csv: Path | None = None,
    copy: bool = False,
    overwrite: bool = False,
    task: str | None = None,
    workers: int | str = 1,
    modality: str | None = None,
) -> Path:
    """Lay out the cases of a table as `DatasetSpec.from_json` reads them.

    Args:
        train_csv: columns `id`, `mask` and one for each channel, in the order of the network's inputs. Paths may be
            relative to the table. Columns without paths of images are kept in cases.csv.
        output: folder to make; its name is the task's where `task` is None.
        test_csv: cases without label (a `mask` column is kept when there is one), with the same channel columns.
        copy: copy the files instead of linking to them.
        overwrite: replace what lies at `output`.
        task: name of the task.
        workers: local processes, or the address of a Dask scheduler.
        modality: "ct", "mr" or "other"; guessed from the channels' names and intensities where it is None.

    Returns:
        Path of the new dataset.json. Its labels are those found in the masks; names, licence and merged final classes
        can be filled in by hand.

    Raises:
        InputError: a table cannot be used, no case is usable, or `output` exists. Nothing is written.
        CaseFailure: some cases have missing or damaged files; the others have been laid out.
    """
    output = Path(output)
    train = read_table(Path(train_csv))
    channels = _channel_columns(train)
    test = read_table(Path(test_csv)) if test_csv is not None else None
    if test is not None:
        _check_columns(test, channels)
    with new_folder(output, overwrite=overwrite) as folder:
        problems = [*train.problems, *(test.problems if test else ())]
        lay_out = functools.partial(_lay_out, table=train, folder=folder / "train", channels=channels, copy=copy)
        outcome = map_cases(lay_out, train.rows, name=_name, workers=workers, description="convert train")
        problems += outcome.problems
        if not outcome.results:
            raise InputError(problems or [Problem(str(train.path), "has no cases.")])
        if test is not None:
            lay_out = functools.partial(_lay_out, table=test, folder=folder / "test", channels=channels, copy=copy)
            problems += map_cases(lay_out, test.rows, name=_name, workers=workers, description="convert test").problems
        labels = sorted({0}.union(*(placed.labels for placed in outcome.results)))
        content = description(
            task=task or output.name,
            modality=modality or _modality(channels, [placed.minimum for placed in outcome.results]),
            channels=channels,
            label_names={label: f"label_{label}" if label else "background" for label in labels},
            has_test=(folder / "test").is_dir(),
        )
        write_json(folder / DATASET_JSON, content)
        _write_extra(train, channels, folder / CASE_TABLE_CSV)
    raise_failures(problems, len(train.rows) + len(train.problems) + (len(test.rows) if test else 0))
    return output / DATASET_JSON


def _channel_columns(table: Table) -> tuple[str, ...]:
    """The columns that hold paths of images, in the order of the table."""
    problems: list[Problem] = []
    if MASK_COLUMN not in table.columns:
        hint = nearest_hint(MASK_COLUMN, table.columns)
        problems.append(
            Problem(str(table.path), f'has no column "{MASK_COLUMN}" with the label files. {hint}'.rstrip())
        )
    channels: list[str] = []
    for column in table.columns:
        cells = [row.cells[column] for row in table.rows if column in row.cells]
        if column in RESERVED_COLUMNS or not any(cell.lower().endswith(IMAGE_SUFFIXES) for cell in cells):
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


def _check_columns(table: Table, channels: Sequence[str]) -> None:
    missing = [name for name in channels if name not in table.columns]
    if missing:
        raise InputError(
            [
                Problem(str(table.path), f'has no column "{name}". {nearest_hint(name, table.columns)}'.rstrip())
                for name in missing
            ]
        )


def _name(row: Row) -> str:
    return row.id


def _lay_out(row: Row, table: Table, folder: Path, channels: Sequence[str], copy: bool) -> _Placed:
    label_wanted = folder.name == "train"
    columns = [*channels, MASK_COLUMN] if label_wanted or MASK_COLUMN in row.cells else list(channels)
    problems = [
        Problem(f"{table.path.name} {row.place}", f'has no file in the column "{column}".')
        for column in columns
        if column not in row.cells
    ]
    paths = {column: table.resolve(row.cells[column]) for column in columns if column in row.cells}
    for column, path in paths.items():
        if not path.name.lower().endswith(IMAGE_SUFFIXES):
            problems.append(Problem(f'"{column}"', f"{path} is no image of a known kind ({READABLE})."))
        elif not path.is_file():
            problems.append(Problem(f'"{column}"', f"{path} does not exist."))
    if problems:
        raise InputError(problems)
    counts = count_labels(read_volume(paths[MASK_COLUMN]).array) if label_wanted else {}
    broken = [value for value in counts if not isinstance(value, int) or value < 0]
    if broken:
        message = f"holds {broken[:8]}; labels must be whole numbers, 0 or larger."
        raise InputError(Problem(paths[MASK_COLUMN].name, message))
    # the first channel decides about CT; reading it also finds damaged files early
    minimum = float(read_volume(paths[channels[0]]).array.min())
    for column, path in paths.items():
        place_file(path, folder / row.id, MASK_NAME if column == MASK_COLUMN else column, copy=copy)
    return _Placed(labels=tuple(int(value) for value in counts), minimum=minimum)


def _modality(channels: Sequence[str], minima: Sequence[float]) -> str:
    """By the channels' names where they tell, else by intensities that only CT has."""
    names = [name.lower() for name in channels]
    if all(name in {"ct", "cbct"} for name in names):
        return "ct"
    if all(name.startswith(_MR_WORDS) for name in names):
        return "mr"
    like_ct = sum(minimum <= _CT_MINIMUM for minimum in minima) > len(minima) / 2
    return "ct" if like_ct else "other"


def _write_extra(table: Table, channels: Sequence[str], path: Path) -> None:
    extra = [column for column in table.columns if column not in {ID_COLUMN, MASK_COLUMN, *channels}]
    if not extra:
        return
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([ID_COLUMN, *extra])
    writer.writerows([row.id, *(row.cells.get(column, "") for column in extra)] for row in table.rows)
    write_text(path, stream.getvalue())
