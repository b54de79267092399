"""The cases that a user wants predictions for: an image, a table, or a folder."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mist_bundle.dataset.cases import MASK_COLUMN, Case, CaseList, search_case_folders
from mist_bundle.dataset.foreign import advising
from mist_bundle.dataset.joint_channels import (
    JOINT_COLUMN,
    holds_joint_channels,
    joint_cases,
    joint_image,
    joint_images,
    order_remark,
)
from mist_bundle.dataset.names import (
    IMAGE_SUFFIXES,
    READABLE,
    RESERVED_COLUMNS,
    id_problem,
    is_image,
    long_id_problem,
    similar_names,
)
from mist_bundle.dataset.numbered_channels import numbered_cases
from mist_bundle.dataset.tables import ID_COLUMN, Row, Table, read_table
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.reading.file_roles import match_files
from mist_bundle.runtime.reading.formats import image_stem
from mist_bundle.runtime.reading.joint import joint_image_of
from mist_bundle.runtime.wording import nearest_hint


def match_prediction_inputs(
    source: Path,
    channel_names: Sequence[str],
    images: Mapping[str, Sequence[str]] | None = None,
    optional: Collection[str] = (),
) -> CaseList:
    """List the cases to predict. Channels are matched by name, never by position.

    Args:
        source: a CSV table (column `id` and a column for each channel), the same as JSON (a list of objects or an
            object by id), a folder of case folders, a folder of images numbered as nnU-Net does (<case>_0000), an
            image, or a folder of images. An image of a model with several channels holds all of them, also in a case
            folder without files of single channels; in a table such images have the column `image`.
        channel_names: channels of the model, in its order.
        images: channel name -> identifying strings, for folders. By default the file is called `<channel>.nii.gz`.
        optional: channels that a case may lack; they are then not among its images.

    Returns:
        The usable cases, with the same file for every channel where an image holds all; a `mask` column becomes their
        label, other columns their `extra` (with a warning).

    Raises:
        InputError: the source cannot be read, a channel has no column, or no case is usable.
    """
    with advising(source):
        found = _matched(Path(source).absolute(), channel_names, images, frozenset(optional))
    cases: list[Case] = []
    problems = list(found.problems)
    for case in found.cases:
        wrong = id_problem(case.id) or long_id_problem(case.id)
        if wrong:
            problems.append(Problem(case.id, f"cannot be predicted under this name: it {wrong}. Rename it."))
        else:
            cases.append(case)
    if not cases:
        raise InputError(problems)
    remarks = [*found.warnings, *similar_names(case.id for case in cases)]
    return CaseList(cases=tuple(cases), problems=tuple(problems), warnings=tuple(dict.fromkeys(remarks)))


def _matched(
    source: Path,
    channel_names: Sequence[str],
    images: Mapping[str, Sequence[str]] | None,
    optional: frozenset[str],
) -> CaseList:
    if source.is_dir():
        return _search_folder(source, _file_patterns(channel_names, images or {}), optional)
    if not source.exists():
        raise InputError(Problem(str(source), "does not exist. Give an image, a CSV or JSON table, or a folder."))
    if is_image(source):
        return _each_file_a_case(str(source), [source], channel_names)
    table = read_table(source)
    if _has_joint_images(table, channel_names):
        return _joint_images_of_table(table, channel_names)
    problems: list[Problem] = []
    for name in channel_names:
        if name not in table.columns and name not in optional:
            problems.append(_missing_column(table, name))
    if problems:
        raise InputError(problems)
    return _cases_of_table(table, channel_names, optional)


def _file_patterns(channel_names: Sequence[str], images: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    patterns: dict[str, tuple[str, ...]] = {}
    for name in channel_names:
        strings = images.get(name) or [f"{name}{suffix}" for suffix in IMAGE_SUFFIXES]
        patterns[name] = tuple(strings)
    return patterns


def _search_folder(
    folder: Path, patterns: Mapping[str, tuple[str, ...]], optional: frozenset[str] = frozenset()
) -> CaseList:
    files: list[Path] = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            return _search_case_folders(folder, patterns, optional)
        if is_image(entry):
            files.append(entry)
    if not files:
        raise InputError(Problem(str(folder), f"holds neither case folders nor images ({READABLE})."))
    names = list(patterns)
    chosen, findings = match_files(files, patterns, optional)
    # other images may lie beside those of the channels, so that the names come first
    by_channel = files if findings else list(chosen.values())
    if len(names) > 1 and holds_joint_channels(by_channel, len(names)):
        return _each_file_a_case(str(folder), files, names)
    numbered = numbered_cases(folder, files, names, optional)
    if numbered is not None:
        return numbered
    if len(names) == 1:
        return _each_file_a_case(str(folder), files, names)
    if findings:
        message = f"is taken for the folder of a single case: {' '.join(findings)}"
        raise InputError(Problem(str(folder), message))
    return CaseList(cases=(Case(id=folder.name, images=chosen),))


def _search_case_folders(folder: Path, patterns: Mapping[str, tuple[str, ...]], optional: frozenset[str]) -> CaseList:
    names = list(patterns)
    found = search_case_folders(folder, patterns, (), label_required=False, optional=optional, match=_match_case)
    warnings = list(found.warnings)
    if any(joint_image(case) for case in found.cases):
        warnings.append(order_remark(str(folder), names))
    return replace(found, warnings=tuple(warnings))


def _match_case(
    files: Sequence[Path], patterns: Mapping[str, Sequence[str]], optional: frozenset[str]
) -> tuple[dict[str, Path], list[str]]:
    """Match the files of a case folder by their names, or take its image with all channels."""
    chosen, findings = match_files(files, patterns, optional)
    image, wrong = joint_image_of(files, chosen.values(), list(patterns))
    if image is not None:
        return dict.fromkeys(patterns, image), []
    return chosen, [wrong] if wrong else findings


def _each_file_a_case(place: str, files: Sequence[Path], channel_names: Sequence[str]) -> CaseList:
    for first, second in itertools.pairwise(files):
        if image_stem(first) == image_stem(second):
            message = f"{first.name} and {second.name} would be the same case. Remove or rename one of them."
            raise InputError(Problem(place, message))
    if len(channel_names) > 1:
        return joint_cases(place, joint_images(files), channel_names)
    cases: list[Case] = []
    for file in files:
        cases.append(Case(id=image_stem(file), images={channel_names[0]: file}))
    return CaseList(cases=tuple(cases))


def _has_joint_images(table: Table, channel_names: Sequence[str]) -> bool:
    """Whether the table names images that hold all channels."""
    if len(channel_names) == 1 or JOINT_COLUMN not in table.columns:
        return False
    return not set(channel_names) & set(table.columns)


def _joint_images_of_table(table: Table, channel_names: Sequence[str]) -> CaseList:
    files: list[tuple[str, Path]] = []
    problems = list(table.problems)
    for row in table.rows:
        if JOINT_COLUMN in row.cells:
            files.append((row.id, table.resolve(row.cells[JOINT_COLUMN])))
        else:
            problems.append(Problem(row.id, f'has no file for "{JOINT_COLUMN}" ({table.path.name} {row.place}).'))
    return joint_cases(str(table.path), files, channel_names, problems)


def _cases_of_table(table: Table, channel_names: Sequence[str], optional: frozenset[str] = frozenset()) -> CaseList:
    warnings: list[Problem] = []
    ignored = _other_columns(table, channel_names)
    if ignored:
        warnings.append(Problem(str(table.path), f"the columns {ignored} are not channels of this model; ignored."))
    problems = list(table.problems)
    cases: list[Case] = []
    for row in table.rows:
        images, findings = _images_of_row(table, row, channel_names, optional)
        if findings:
            problems.append(Problem(row.id, " ".join(findings)))
            continue
        label = table.resolve(row.cells[MASK_COLUMN]) if MASK_COLUMN in row.cells else None
        if label is not None and not label.is_file():
            warnings.append(Problem(row.id, f"the label file {label} does not exist; ignored."))
            label = None
        extra = dict(row.cells)
        for name in (ID_COLUMN, MASK_COLUMN, *channel_names):
            extra.pop(name, None)
        cases.append(Case(id=row.id, images=images, label=label, extra=extra))
    if not cases:
        raise InputError([*problems, Problem(str(table.path), "names no usable case.")])
    cases.sort(key=lambda case: case.id)
    return CaseList(cases=tuple(cases), problems=tuple(problems), warnings=tuple(warnings))


def _images_of_row(
    table: Table, row: Row, channel_names: Sequence[str], optional: frozenset[str]
) -> tuple[dict[str, Path], list[str]]:
    """Channel -> file of a row, and what is wrong with them."""
    images: dict[str, Path] = {}
    findings: list[str] = []
    for name in channel_names:
        if name not in row.cells and name in optional:
            continue
        if name not in row.cells:
            findings.append(f'has no file for "{name}" ({table.path.name} {row.place}).')
            continue
        images[name] = table.resolve(row.cells[name])
        if not images[name].is_file() and not images[name].is_dir():  # the folder of a DICOM series
            findings.append(f'{images[name]} ("{name}") does not exist.')
    if len(set(images.values())) < len(images):
        findings.append("names the same file for two channels.")
    return images, findings


def _missing_column(table: Table, name: str) -> Problem:
    spare = _other_columns(table, ())
    hint = nearest_hint(name, spare)
    message = f'has no column for the channel "{name}"; its columns are {spare}. {hint}'
    return Problem(str(table.path), message.rstrip())


def _other_columns(table: Table, channel_names: Sequence[str]) -> list[str]:
    """Columns that are neither reserved nor a channel."""
    known = (*RESERVED_COLUMNS, *channel_names)
    return [column for column in table.columns if column not in known]
