"""Cases of a dataset: which file of a case folder is which image channel, and which is the label.

A file is recognised by its own name, never by the folders above it. Every ambiguity (no file, two files, a file for two
roles) excludes the case with a Problem, because a label mistaken for an image trains to a perfect and useless model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mist_bundle.dataset.annotated import with_unlabelled
from mist_bundle.dataset.groups import PATIENT
from mist_bundle.dataset.names import (
    id_problem,
    is_image,
    is_text,
    long_id_problem,
    shown,
    similar_names,
)
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.tables import ID_COLUMN, read_table
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.reading.file_roles import match_files
from mist_bundle.runtime.wording import list_names, nearest_hint

Split = Literal["train", "test"]
# files, patterns by role and optional roles -> file by role, and what is wrong with the case
Matcher = Callable[[Sequence[Path], Mapping[str, Sequence[str]], frozenset[str]], tuple[dict[str, Path], list[str]]]
_IF_OPTIONAL = 'If a case may lack {0}, add {0} to "optional_images" in dataset.json.'

_WITHOUT_TABLE = "Until then it says nothing about patients, whose cases may be in different folds."
MASK_COLUMN = "mask"
CASE_TABLE_CSV = "cases.csv"  # optional, beside dataset.json: an id column and any others (site, fold …)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A case and the location of its files.

    Attributes:
        id: name of the case folder, or id in the user's table; always text.
        images: channel name -> image file, in the order of the channels; without optional channels that it lacks.
        label: label file; None for unlabelled cases.
        extra: further columns of the user's table (column -> text).
        unlabelled: labels that were not annotated in this case, so that its background may hold them.
    """

    id: str
    images: dict[str, Path]
    label: Path | None = None
    extra: dict[str, str] = field(default_factory=dict)
    unlabelled: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseList:
    """Result of a search for cases.

    Attributes:
        cases: usable cases, sorted by id.
        problems: a Problem for each excluded case.
        warnings: remarks that exclude no case.
    """

    cases: tuple[Case, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def find_cases(spec: DatasetSpec, split: Split = "train") -> CaseList:
    """Search the case folders of a dataset.

    Args:
        spec: dataset description.
        split: "train" (a label file is required) or "test" (a label file is used if a single file matches).

    Returns:
        The usable cases, with the excluded cases under `problems`. Columns of a `cases.csv` beside dataset.json become
        each case's `extra`.

    Raises:
        InputError: no case is usable; holds the problems of all cases.
    """
    folder = spec.train_dir if split == "train" else spec.test_dir
    if folder is None:
        raise InputError(Problem(f"{spec.json_path}: $.test-data", "is missing; name the folder of the test cases."))
    search = search_case_folders(
        folder,
        spec.images,
        spec.mask,
        label_required=split == "train",
        optional=frozenset(spec.optional_images),
    )
    extra, table_warnings = _case_table(spec)
    if split == "train":
        table_warnings += _unused_ids(spec, extra, search.cases)
        table_warnings += _unknown_patients(extra, search.cases)
    cases = [replace(case, extra=extra.get(case.id, {})) for case in search.cases]
    if split == "train":
        cases = with_unlabelled(spec, cases)
    warnings = (*search.warnings, *similar_names(case.id for case in cases), *table_warnings)
    return CaseList(cases=tuple(cases), problems=search.problems, warnings=warnings)


def case_column(cases: Sequence[Case], column: str) -> dict[str, str]:
    """Read a column of the user's case table, such as the site by which folds are grouped.

    Returns:
        Case id -> cell of the column.

    Raises:
        InputError: the column does not exist, or is empty for some cases.
    """
    columns: dict[str, None] = {}  # a dict keeps the order of the table
    for case in cases:
        columns.update(dict.fromkeys(case.extra))
    if column not in columns:
        state = f"there is no {CASE_TABLE_CSV} that can be read."
        if columns:
            state = f"its columns are {list(columns)}. {nearest_hint(column, columns)}".rstrip()
        advice = f'Add the columns "id" and "{column}".'
        message = f"is not a column of {CASE_TABLE_CSV} beside dataset.json; {state} {advice}"
        raise InputError(Problem(f'"{column}"', message))
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for case in cases:
        if column in case.extra:
            values[case.id] = case.extra[column]
        else:
            problems.append(Problem(case.id, f'has nothing in the column "{column}". Fill it in.'))
    if problems:
        raise InputError(problems)
    return values


def channel_files(case: Case, channel_names: Sequence[str]) -> tuple[list[Path], list[str]]:
    """A file for each channel, and the channels that the case lacks.

    These have the file of the first channel that is there, for its grid; the scripts of a bundle set them to 0.
    """
    missing = [name for name in channel_names if name not in case.images]
    present = next(iter(case.images.values()))
    return [case.images.get(name, present) for name in channel_names], missing


def search_case_folders(
    folder: Path,
    images: Mapping[str, Sequence[str]],
    mask: Sequence[str],
    *,
    label_required: bool,
    optional: frozenset[str] = frozenset(),
    match: Matcher = match_files,
) -> CaseList:
    """Search a folder that holds a sub-folder for each case.

    Args:
        folder: parent of the case folders; hidden entries are skipped.
        images: channel name -> identifying strings.
        mask: identifying strings of the label; empty if labels are not looked for.
        label_required: whether a case without a label is excluded.
        optional: channels that a case may lack.
        match: which file of a case folder has which role; see `match_files`.

    Raises:
        InputError: no case is usable; holds the problems of all cases.
    """
    patterns = dict(images)
    if mask:
        patterns[MASK_COLUMN] = mask
    if not label_required:
        optional |= {MASK_COLUMN}
    cases: list[Case] = []
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            if not entry.is_symlink():
                warnings.append(Problem(str(entry), "is a file, not a case folder; ignored."))
            elif not entry.is_file():
                problems.append(Problem(shown(entry.name), "is a link that leads nowhere. Repair or remove it."))
            continue
        chosen, findings = _files_of_case(entry, patterns, optional, match)
        if findings:
            problems.append(Problem(shown(entry.name), " ".join(findings)))
            continue
        warnings += _warn_of_long_id(entry.name)
        label = chosen.pop(MASK_COLUMN, None)
        cases.append(Case(id=entry.name, images=chosen, label=label))
    if not cases:
        raise InputError([*problems, Problem(str(folder), "no usable case is left in this folder.")])
    return CaseList(cases=tuple(cases), problems=tuple(problems), warnings=tuple(warnings))


def _warn_of_long_id(case_id: str) -> list[Problem]:
    """A warning about an id after which no label map can be named."""
    wrong = long_id_problem(case_id)
    if not wrong:
        return []
    return [Problem(case_id, f"{wrong}. Rename its folder, or it can be trained on, but not predicted or evaluated.")]


def _files_of_case(
    folder: Path, patterns: Mapping[str, Sequence[str]], optional: frozenset[str], match: Matcher
) -> tuple[dict[str, Path], list[str]]:
    """Files of a case by role, and what is wrong with the case."""
    wrong = id_problem(folder.name)
    if wrong:
        advice = 'Rename its folder with letters, digits, "-", "_" and ".", for example "pat07".'
        return {}, [f"cannot be the id of a case: it {wrong}. {advice}"]
    try:
        files = sorted(file for file in folder.iterdir() if is_image(file) and not file.is_dir())
    except OSError as error:
        return {}, [f"cannot be read ({error.strerror or error})."]
    chosen, findings = match(files, patterns, optional)
    lacking = [role for role in patterns if role != MASK_COLUMN and role not in optional and role not in chosen]
    if findings and MASK_COLUMN in patterns and 0 < len(lacking) < len(set(patterns) - {MASK_COLUMN}):
        findings.append(_IF_OPTIONAL.format(", ".join(lacking)))
    for file in files:
        if not file.exists():
            findings.append(f"{file.name} is a broken link.")
        if not is_text(file.name):
            findings.append(f"{file.name!a} is not UTF-8. Rename the file.")
    return chosen, findings


def _case_table(spec: DatasetSpec) -> tuple[dict[str, dict[str, str]], list[Problem]]:
    """Case id -> its other columns in cases.csv, and warnings about the table."""
    path = spec.json_path.parent / CASE_TABLE_CSV
    if not path.is_file():
        return {}, []
    try:
        table = read_table(path)
    except InputError as error:  # the file may be there for another purpose
        return {}, [Problem(one.path, f"{one.message} {_WITHOUT_TABLE}") for one in error.problems]
    extra: dict[str, dict[str, str]] = {}
    for row in table.rows:
        cells = dict(row.cells)
        del cells[ID_COLUMN]
        extra[row.id] = cells
    return extra, list(table.problems)


def _unknown_patients(extra: Mapping[str, Mapping[str, str]], cases: Sequence[Case]) -> list[Problem]:
    """A warning about cases whose patient cases.csv does not name, though it names those of others."""
    named = {case.id for case in cases if PATIENT in extra.get(case.id, {})}
    unknown = [case.id for case in cases if case.id not in named]
    if not named or not unknown:
        return []
    message = f'names no patient for {list_names(unknown)}; each counts as a patient of its own. Fill in "{PATIENT}".'
    return [Problem(CASE_TABLE_CSV, message)]


def _unused_ids(spec: DatasetSpec, extra: Mapping[str, object], cases: Sequence[Case]) -> list[Problem]:
    """A warning about rows of cases.csv that belong to no usable case."""
    unknown = sorted(set(extra) - {case.id for case in cases})
    if not unknown:
        return []
    path = spec.json_path.parent / CASE_TABLE_CSV
    return [Problem(str(path), f"names cases that are not used: {list_names(unknown)}.")]
