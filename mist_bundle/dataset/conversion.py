"""Converting the cases of another layout to a folder for each case: what all layouts share.

A layout (csv_layout, label_folders, bids_layout) says which files belong to which case; here all are read, checked,
placed and described in dataset.json. A dry run reads and checks the same and writes nothing.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mist_bundle.dataset.annotated import ANNOTATED
from mist_bundle.dataset.cases import CASE_TABLE_CSV
from mist_bundle.dataset.channels import modality_of
from mist_bundle.dataset.conversion_remarks import (
    OVERLAPS_CSV,
    files_of_cases,
    missing_warnings,
    overlap_warnings,
    understood_table,
)
from mist_bundle.dataset.layout import description
from mist_bundle.dataset.merged_masks import LAST, REGIONS, LabelScheme, Members, label_scheme
from mist_bundle.dataset.names import RESERVED_COLUMNS, channel_name_problem, default_label_name, similar_names
from mist_bundle.dataset.placed_case import (
    ABSENT,
    REFUSE,
    UNANNOTATED,
    CaseContent,
    CaseSource,
    Channels,
    FileCase,
    Placing,
    place_case,
    write_labels,
)
from mist_bundle.dataset.tables import ID_COLUMN, write_table
from mist_bundle.dataset.volumes import num_channels
from mist_bundle.errors import CaseFailure, InputError, Problem, count_paths
from mist_bundle.files import DATASET_JSON, new_folder, refuse_existing, write_json
from mist_bundle.parallel import CaseResults, map_cases

# Air is -1000 HU. No magnetic resonance image goes there, and a CT whose field of view holds no air is rare.
_CT_MINIMUM = -500


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversionOptions:
    """What a user decides about a conversion.

    Attributes:
        task: name of the task; that of the output folder by default.
        modality: "ct", "mr" or "other"; guessed from names and intensities by default.
        channels: names of all channels, in order; by default those of the columns.
        overlaps: what happens to voxels of several structures, see `label_scheme`.
        missing: a structure without a mask file is "absent" from the case, was "unannotated" there (what is
            background may hold it), or is a reason to "refuse" the case.
        copy: copy the files instead of linking to them.
        overwrite: replace an existing output.
        dry_run: read and check everything, write nothing.
        workers: local processes, or the address of a Dask scheduler.
    """

    task: str | None = None
    modality: str | None = None
    channels: tuple[str, ...] = ()
    overlaps: str = LAST
    missing: str = ABSENT
    copy: bool = False
    overwrite: bool = False
    dry_run: bool = False
    workers: int | str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a conversion understood.

    Attributes:
        table: what was understood, as rows of property and value.
        warnings: oddities that leave out no case.
        problems: cases that were left out.
        total: number of cases, with those that were left out.
    """

    table: list[tuple[str, str]]
    warnings: list[Problem]
    problems: list[Problem]
    total: int

    def raise_failures(self) -> None:
        """Raise CaseFailure if cases were left out."""
        if self.problems:
            raise CaseFailure(self.problems, self.total)


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted(Outcome):
    """Result of a conversion to a dataset.

    Attributes:
        dataset_json: the new description, or where it would lie after a dry run.
    """

    dataset_json: Path


def convert(source: CaseSource, output: Path, options: ConversionOptions) -> Converted:
    """Write the cases of a source below `output`; cases that cannot be used are left out.

    Raises:
        InputError: no case is usable, or `output` exists. Nothing is written.
    """
    if not source.training:
        raise InputError(source.problems or [Problem(str(source.place), "has no labelled case.")])
    background = default_label_name(0)
    if background in source.structures:
        message = f"{background!r} is what label 0 is called. Name the other structures with --labels."
        raise InputError(Problem("labels", message))
    if options.missing == UNANNOTATED and options.overlaps == REGIONS:
        message = "cannot be combined with --overlaps regions: a voxel of one structure may belong to the other, too."
        raise InputError(Problem("--missing unannotated", message))
    placing = Placing(
        channels=_channels_by_column(source, options.channels),
        optional=source.optional,
        structures=source.structures,
        require_masks=options.missing == REFUSE,
        copy=options.copy,
    )
    if options.dry_run:
        refuse_existing(output, overwrite=options.overwrite, mark=DATASET_JSON)
        return _convert_into(None, source, output, placing, options)
    inputs = [source.place, *source.inputs]
    with new_folder(output, overwrite=options.overwrite, inputs=inputs, mark=DATASET_JSON) as folder:
        return _convert_into(folder, source, output, placing, options)


def _convert_into(
    folder: Path | None, source: CaseSource, output: Path, placing: Placing, options: ConversionOptions
) -> Converted:
    """Place and describe all cases; without a folder they are only checked."""
    trained = _place_cases(source.training, replace(placing, folder=folder and folder / "train"), options)
    problems = [*source.problems, *trained.problems]
    contents = trained.results
    if not contents:
        raise InputError(problems)
    test_placing = replace(placing, structures=(), folder=folder and folder / "test")
    tested = _place_cases(source.testing, test_placing, options)
    problems += tested.problems
    scheme = _label_scheme(source, contents, options)
    content = _description(source, output, placing.channels, contents, scheme, options, has_test=bool(tested.results))
    if folder is not None:
        if source.structures:
            for case in contents:
                write_labels(case, folder / "train", scheme)
        annotated = _annotated_labels(contents, scheme) if options.missing == UNANNOTATED else {}
        _write_case_table(source, annotated, folder / CASE_TABLE_CSV)
        _write_overlaps(contents, folder / OVERLAPS_CSV)
        write_json(folder / DATASET_JSON, content)
    warnings = [*source.warnings, *similar_names(_all_names(placing.channels))]
    for cases in (contents, tested.results):
        warnings += similar_names(case.id for case in cases)
    warnings += [
        *overlap_warnings(contents, options.overlaps),
        *missing_warnings(contents, options.missing),
    ]
    if options.modality is None and not source.modality:
        guess = f'is "{content["modality"]}", guessed from the names and intensities of the images'
        message = f"{guess}; correct it there if it is wrong, or pass --modality."
        warnings.append(Problem(f"{output / DATASET_JSON}: $.modality", message))
    table = understood_table(source, content, placing.channels, contents, tested.results)
    if options.dry_run:
        table += files_of_cases(source, [*contents, *tested.results])
    return Converted(
        dataset_json=output / DATASET_JSON,
        table=table,
        warnings=warnings,
        problems=problems,
        total=len(source.training) + len(source.testing) + count_paths(source.problems),
    )


def _place_cases(cases: Sequence[FileCase], placing: Placing, options: ConversionOptions) -> CaseResults[CaseContent]:
    place = functools.partial(place_case, placing=placing)
    what = "check" if placing.folder is None else f"convert {placing.folder.name}"
    return map_cases(place, cases, name=lambda case: case.id, workers=options.workers, description=what)


def _channels_by_column(source: CaseSource, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Name the channels of each column; a 4D image has several.

    Raises:
        InputError: the user's names are not as many as there are channels, or cannot name files.
    """
    counts: dict[str, int] = {}
    for column in source.columns:
        counts[column] = _count_channels(source.training, column)
    problems = []
    total = sum(counts.values())
    if names and len(names) != total:
        held = ", ".join(f"{column}: {count}" for column, count in counts.items())
        message = f"has {len(names)} names ({', '.join(names)}), but the images hold {total} channels ({held})."
        problems.append(Problem("--channels", message))
    for name in names:
        wrong = channel_name_problem(name)
        if wrong:
            problems.append(Problem("--channels", f"holds {name!r}, which {wrong}. Choose another name."))
    if problems:
        raise InputError(problems)
    channels: dict[str, tuple[str, ...]] = {}
    first = 0
    for column, count in counts.items():
        if names:
            channels[column] = tuple(names[first : first + count])
        elif count == 1:
            channels[column] = (column,)
        else:
            channels[column] = tuple(f"{column}_{number}" for number in range(count))
        first += count
    problems = _name_problems(_all_names(channels))
    if problems:
        raise InputError(problems)
    return channels


def _name_problems(names: Sequence[str]) -> list[Problem]:
    """What is wrong with the names of channels as a whole: each names a file beside the mask."""
    problems = []
    for name, count in Counter(names).items():
        if name in RESERVED_COLUMNS:
            message = f"{name!r} cannot be the name of a channel ({', '.join(RESERVED_COLUMNS)} have a meaning)."
            problems.append(Problem("channels", f"{message} Choose channels with --images, or names with --channels."))
        elif count > 1:
            problems.append(Problem("channels", f"{count} channels are called {name!r}. Name them with --channels."))
    return problems


def _count_channels(cases: Sequence[FileCase], column: str) -> int:
    """The channels that most images of a column hold, by their headers; a single odd case must not decide."""
    counts: Counter[int] = Counter()
    for case in cases:
        if column in case.images:
            with suppress(InputError):  # named when the case is placed
                counts[num_channels(case.images[column])] += 1
    return counts.most_common(1)[0][0] if counts else 1


def _all_names(channels: Channels) -> tuple[str, ...]:
    names: list[str] = []
    for of_column in channels.values():
        names += of_column
    return tuple(names)


def _label_scheme(source: CaseSource, contents: Sequence[CaseContent], options: ConversionOptions) -> LabelScheme:
    """Labels with their names, and the classes that are made of them."""
    if source.structures:
        combinations: set[Members] = set()
        for content in contents:
            combinations.update(content.members.values())
        return label_scheme(source.structures, combinations, options.overlaps)
    names = {0: default_label_name(0)}
    for content in contents:
        for label in content.labels:
            names[label] = source.label_names.get(label, default_label_name(label))
    classes: dict[str, tuple[int, ...]] = {}
    for label, name in sorted(names.items()):
        if label != 0:
            classes[name] = (label,)
    return LabelScheme(label_names=names, final_classes=classes, label_of={})


def _description(
    source: CaseSource,
    output: Path,
    channels: Channels,
    contents: Sequence[CaseContent],
    scheme: LabelScheme,
    options: ConversionOptions,
    *,
    has_test: bool,
) -> dict[str, Any]:
    names = _all_names(channels)
    return description(
        task=options.task or output.name,
        modality=options.modality or source.modality or _guess_modality(names, contents),
        channels=names,
        label_names=scheme.label_names,
        final_classes=scheme.final_classes,
        has_test=has_test,
        ignore_label=None,
        optional_images=_all_names({column: channels[column] for column in source.optional}),
        **source.texts,
    )


def _guess_modality(channels: Sequence[str], contents: Sequence[CaseContent]) -> str:
    """The modality that the channel names suggest, otherwise CT if most cases hold intensities that only CT has."""
    by_name = modality_of(channels)
    if by_name != "other":
        return by_name
    num_like_ct = 0
    for content in contents:
        num_like_ct += content.minimum <= _CT_MINIMUM
    return "ct" if num_like_ct > len(contents) / 2 else "other"


def _annotated_labels(contents: Sequence[CaseContent], scheme: LabelScheme) -> dict[str, str]:
    """Case id -> the labels that were annotated in it, for the cases that lack masks of structures."""
    annotated = {}
    for content in contents:
        if content.missing:
            labels = [label for label, name in scheme.label_names.items() if label and name not in content.missing]
            annotated[content.id] = " ".join(map(str, labels))
    return annotated


def _write_case_table(source: CaseSource, annotated: Mapping[str, str], path: Path) -> None:
    """Write what is known about each case besides its files; nothing if nothing is."""
    columns = [*source.extra_columns, ANNOTATED] if annotated else [*source.extra_columns]
    if not columns:
        return
    rows = []
    for case in source.training:
        cells = [case.id]
        for column in source.extra_columns:
            cells.append(case.extra.get(column, ""))
        rows.append([*cells, annotated.get(case.id, "")] if annotated else cells)
    write_table(path, [ID_COLUMN, *columns], rows)


def _write_overlaps(contents: Sequence[CaseContent], path: Path) -> None:
    rows = []
    for content in contents:
        for (first, second), voxels in content.overlaps.items():
            rows.append([content.id, first, second, str(voxels)])
    if rows:
        write_table(path, [ID_COLUMN, "first", "second", "voxels"], rows)
