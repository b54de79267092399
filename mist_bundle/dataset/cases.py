"""From folders or tables to cases: which file of which case is which image channel, and which is the label.

A file is recognised by its own name, never by the folders above it. Every doubt (no file, two files, one file for two
roles) is a Problem of that case, because a label taken for an image trains to a perfect and useless model.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mist_bundle.dataset.names import (
    IMAGE_SUFFIXES,
    READABLE,
    RESERVED_COLUMNS,
    id_problem,
    image_stem,
    is_image,
    is_text,
    nearest_hint,
    shown,
)
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.tables import ID_COLUMN, Table, read_table
from mist_bundle.errors import InputError, Problem

Split = Literal["train", "test"]

MASK_COLUMN = "mask"
CASE_TABLE_CSV = "cases.csv"  # optional, beside dataset.json: an id column and any others (site, fold …)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One case: where its images and its label lie.

    Attributes:
        id: the name of its folder, or the id in the user's table; always text.
        images: channel name -> image file, in the order of the channels.
        label: the label file; None for unlabelled cases.
        extra: what else the user's table says about the case (column -> text).
    """

    id: str
    images: dict[str, Path]
    label: Path | None = None
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundCases:
    """Usable cases sorted by id, a Problem for each case left out, and warnings that leave out nothing."""

    cases: tuple[Case, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def find_cases(spec: DatasetSpec, split: Split = "train") -> FoundCases:
    """Look through the case folders of a dataset.

    Args:
        spec: the dataset.
        split: "train" (a label file is required) or "test" (a label file is taken when there is exactly one).

    Returns:
        The usable cases; the others are named in `problems`. The columns of a `cases.csv` beside dataset.json become
        each case's `extra`.

    Raises:
        InputError: no case is usable; holds the problems of all of them.
    """
    folder = spec.train_dir if split == "train" else spec.test_dir
    if folder is None:
        raise InputError(Problem(f"{spec.json_path}: $.test-data", "is missing; name the folder of the test cases."))
    found = _search_folder(folder, spec.images, spec.mask, label_required=split == "train")
    extra, table_warnings = _extra_columns(spec, {case.id for case in found.cases} if split == "train" else set())
    cases = [
        Case(id=case.id, images=case.images, label=case.label, extra=extra.get(case.id, {})) for case in found.cases
    ]
    return FoundCases(cases=tuple(cases), problems=found.problems, warnings=(*found.warnings, *table_warnings))


def match_prediction_inputs(
    source: Path, channel_names: Sequence[str], images: Mapping[str, Sequence[str]] | None = None
) -> FoundCases:
    """Find the cases that a user wants predictions for. Channels are matched by name, never by position.

    Args:
        source: a CSV table (column `id` and one column for each channel), the same as JSON (a list of objects or an
            object by id), a folder of case folders, or, for single-channel models, an image or a folder of images.
        channel_names: the channels of the model, in its order.
        images: channel name -> identifying strings, for folders; file names `<channel>.nii.gz` where not given.

    Returns:
        The usable cases; a `mask` column becomes their label, other columns their `extra` (with a warning).

    Raises:
        InputError: the source cannot be read, a channel has no column, or no case is usable.
    """
    source = Path(source).absolute()
    if source.is_dir():
        own_name = {name: tuple(f"{name}{suffix}" for suffix in IMAGE_SUFFIXES) for name in channel_names}
        given = images or {}
        return _search_prediction_folder(source, {name: tuple(given.get(name) or own_name[name]) for name in own_name})
    if not source.exists():
        raise InputError(Problem(str(source), "does not exist. Give an image, a CSV or JSON table, or a folder."))
    if is_image(source):
        return FoundCases(cases=(_single_image(source, channel_names),))
    table = read_table(source)
    missing = [name for name in channel_names if name not in table.columns]
    if missing:
        raise InputError([_missing_column(table, name) for name in missing])
    return _table_cases(table, channel_names)


def _single_image(source: Path, channel_names: Sequence[str]) -> Case:
    if len(channel_names) != 1:
        message = f"is one image, but the model takes {len(channel_names)} channels ({', '.join(channel_names)}). "
        raise InputError(Problem(str(source), message + "Give a folder of case folders, or a CSV or JSON table."))
    return Case(id=image_stem(source), images={channel_names[0]: source})


def case_column(cases: Sequence[Case], column: str) -> dict[str, str]:
    """Case id -> what the user's table says in one column, such as the site to make folds by.

    Raises:
        InputError: there is no such column, or cases have nothing in it.
    """
    known = dict.fromkeys(name for case in cases for name in case.extra)
    if column not in known:
        found = (
            f"found {list(known)}. {nearest_hint(column, known)}".rstrip()
            if known
            else f"there is no {CASE_TABLE_CSV}."
        )
        message = (
            f'is no column of {CASE_TABLE_CSV} beside dataset.json; {found} Give it the columns "id" and "{column}".'
        )
        raise InputError(Problem(f'"{column}"', message))
    absent = [case.id for case in cases if column not in case.extra]
    if absent:
        raise InputError([Problem(case_id, f'has nothing in the column "{column}". Fill it in.') for case_id in absent])
    return {case.id: case.extra[column] for case in cases}


def match_files(
    files: Sequence[Path], patterns: Mapping[str, Sequence[str]], optional: frozenset[str] = frozenset()
) -> tuple[dict[str, Path], list[str]]:
    """Give each role the one file whose name contains one of its strings.

    A file whose whole name (with or without .nii.gz) equals a string wins over those that merely contain it, so that
    "t1.nii.gz" beside "ct1.nii.gz" is no doubt.

    Args:
        files: the image files of one case.
        patterns: role (channel name or "mask") -> identifying strings.
        optional: roles that may be left without a file.

    Returns:
        Role -> file for all roles without doubt, and a finding for each of the others.
    """
    chosen: dict[str, Path] = {}
    findings: list[str] = []
    names = [file.name for file in files]
    for role, strings in patterns.items():
        exact = [file for file in files if file.name in strings or image_stem(file) in strings]
        matches = exact or [file for file in files if any(string in file.name for string in strings)]
        if len(matches) == 1:
            chosen[role] = matches[0]
        elif matches:
            found = ", ".join(file.name for file in matches)
            findings.append(
                f'{len(matches)} files match "{role}" {list(strings)}: {found}. '
                "Make its strings in dataset.json more specific, such as the end of the file name."
            )
        elif role not in optional:
            findings.append(f'no file matches "{role}" {list(strings)}; found {names or "no image file"}.')
    for file in files:
        roles = [role for role, match in chosen.items() if match == file]
        if len(roles) > 1:
            findings.append(
                f"{file.name} matches {' and '.join(roles)}; each needs its own file. Make the strings more specific."
            )
            chosen = {role: match for role, match in chosen.items() if match != file}
    return chosen, findings


def _search_folder(
    folder: Path, images: Mapping[str, Sequence[str]], mask: Sequence[str], *, label_required: bool
) -> FoundCases:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    warnings = [
        Problem(str(entry), "is a file, not a case folder; ignored.")
        for entry in entries
        if not entry.is_dir() and not entry.is_symlink()
    ]
    patterns = {**images, MASK_COLUMN: mask} if mask else dict(images)
    cases: list[Case] = []
    problems: list[Problem] = []
    for entry in entries:
        if not entry.is_dir():
            if entry.is_symlink() and not entry.is_file():
                problems.append(Problem(shown(entry.name), "is a link that leads nowhere. Repair or remove it."))
            continue
        chosen, findings = _look_into(entry, patterns, frozenset() if label_required else frozenset({MASK_COLUMN}))
        if findings:
            problems.append(Problem(shown(entry.name), " ".join(findings)))
            continue
        cases.append(Case(id=entry.name, images={name: chosen[name] for name in images}, label=chosen.get(MASK_COLUMN)))
    if not cases:
        raise InputError([*problems, Problem(str(folder), "no usable case is left in this folder.")])
    return FoundCases(cases=tuple(cases), problems=tuple(problems), warnings=tuple(warnings))


def _look_into(
    folder: Path, patterns: Mapping[str, Sequence[str]], optional: frozenset[str]
) -> tuple[dict[str, Path], list[str]]:
    """The files of one case by role, and what is wrong with it."""
    wrong = id_problem(folder.name)
    if wrong:
        advice = 'Rename its folder with letters, digits, "-", "_" and ".", for example "pat07".'
        return {}, [f"cannot be the id of a case: it {wrong}. {advice}"]
    try:
        files = sorted(file for file in folder.iterdir() if is_image(file) and not file.is_dir())
    except OSError as error:
        return {}, [f"cannot be read ({error.strerror or error})."]
    chosen, findings = match_files(files, patterns, optional)
    findings += [f"{file.name} is a broken link." for file in files if not file.exists()]
    findings += [f"{file.name!a} is not UTF-8. Rename the file." for file in files if not is_text(file.name)]
    return chosen, findings


def _search_prediction_folder(folder: Path, patterns: Mapping[str, tuple[str, ...]]) -> FoundCases:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if any(entry.is_dir() for entry in entries):
        return _search_folder(folder, patterns, (), label_required=False)
    files = sorted(entry for entry in entries if is_image(entry))
    if not files:
        raise InputError(Problem(str(folder), f"holds neither case folders nor images ({READABLE})."))
    if len(patterns) == 1:
        (channel,) = patterns
        for first, second in itertools.pairwise(files):
            if image_stem(first) == image_stem(second):
                message = f"{first.name} and {second.name} would be one case. Remove or rename one of them."
                raise InputError(Problem(str(folder), message))
        return FoundCases(cases=tuple(Case(id=image_stem(file), images={channel: file}) for file in files))
    chosen, findings = match_files(files, patterns)
    if findings:
        message = f"is taken for the folder of a single case: {' '.join(findings)}"
        raise InputError(Problem(str(folder), message))
    return FoundCases(cases=(Case(id=folder.name, images=chosen),))


def _table_cases(table: Table, channel_names: Sequence[str]) -> FoundCases:
    wanted = {ID_COLUMN, *channel_names}
    ignored = [name for name in table.columns if name not in wanted and name not in RESERVED_COLUMNS]
    warnings: list[Problem] = []
    if ignored:
        warnings.append(Problem(str(table.path), f"the columns {ignored} are no channels of this model; ignored."))
    problems = list(table.problems)
    cases: list[Case] = []
    for row in table.rows:
        images = {name: table.resolve(row.cells[name]) for name in channel_names if name in row.cells}
        absent = [name for name in channel_names if name not in images]
        findings = [f'has no file for "{name}" ({table.path.name} {row.place}).' for name in absent]
        findings += [f'{path} ("{name}") does not exist.' for name, path in images.items() if not path.is_file()]
        if len(set(images.values())) < len(images):
            findings.append("names one file for two channels.")
        if findings:
            problems.append(Problem(row.id, " ".join(findings)))
            continue
        label = table.resolve(row.cells[MASK_COLUMN]) if MASK_COLUMN in row.cells else None
        if label is not None and not label.is_file():
            warnings.append(Problem(row.id, f"the label file {label} does not exist; ignored."))
            label = None
        extra = {name: cell for name, cell in row.cells.items() if name not in wanted and name != MASK_COLUMN}
        cases.append(Case(id=row.id, images=images, label=label, extra=extra))
    if not cases:
        raise InputError([*problems, Problem(str(table.path), "names no usable case.")])
    cases.sort(key=lambda case: case.id)
    return FoundCases(cases=tuple(cases), problems=tuple(problems), warnings=tuple(warnings))


def _missing_column(table: Table, name: str) -> Problem:
    spare = [column for column in table.columns if column not in RESERVED_COLUMNS]
    hint = nearest_hint(name, spare)
    return Problem(str(table.path), f'has no column for the channel "{name}"; found {spare}. {hint}'.rstrip())


def _extra_columns(spec: DatasetSpec, case_ids: set[str]) -> tuple[dict[str, dict[str, str]], list[Problem]]:
    path = spec.json_path.parent / CASE_TABLE_CSV
    if not path.is_file():
        return {}, []
    try:
        table = read_table(path)
    except InputError as error:  # the file may be there for another purpose
        return {}, list(error.problems)
    unknown = sorted(row.id for row in table.rows if case_ids and row.id not in case_ids)
    warnings = list(table.problems)
    if unknown:
        warnings.append(Problem(str(path), f"names cases that are not used: {', '.join(unknown)}."))
    return {row.id: {k: v for k, v in row.cells.items() if k != ID_COLUMN} for row in table.rows}, warnings
