"""Several data sets as a single one: labels joined by name, and each case marked with the source it comes from.

What a source does not annotate is unknown in its cases, not background: `annotated_labels` says so.
"""

from __future__ import annotations

import functools
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mist_bundle.dataset.annotated import ANNOTATED
from mist_bundle.dataset.cases import CASE_TABLE_CSV, Case, Split, find_cases
from mist_bundle.dataset.conversion import Converted, description_table, write_table
from mist_bundle.dataset.groups import PATIENT
from mist_bundle.dataset.layout import MASK_NAME, description, place_file, save_nifti
from mist_bundle.dataset.names import default_label_name, id_problem
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.tables import ID_COLUMN
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import DATASET_JSON, new_folder, refuse_existing, write_json
from mist_bundle.parallel import map_cases
from mist_bundle.runtime.numerics.labels import as_labels
from mist_bundle.runtime.numerics.restore import label_dtype
from mist_bundle.runtime.wording import list_names

SOURCE = "source"  # column of cases.csv
_IGNORE = "ignore"
_SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A data set that is merged.

    Attributes:
        name: what the column `source` calls it.
        spec: its description.
        labels: its label value -> label value of the merged data set, with the ignored label.
    """

    name: str
    spec: DatasetSpec
    labels: Mapping[int, int]

    @property
    def annotated(self) -> list[int]:
        """The labels that it annotates, as values of the merged data set."""
        return sorted(self.labels[label] for label in self.spec.labels if label != 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedCase:
    """A case and where it goes.

    Attributes:
        id: in the merged data set.
        split: "train" or "test".
        case: its files.
        source: where it comes from.
    """

    id: str
    split: str
    case: Case
    source: Source


def merge_datasets(
    json_paths: Sequence[Path],
    output: Path,
    *,
    names: Sequence[str] = (),
    copy: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    workers: int | str | None = None,
) -> Converted:
    """Write a data set with the cases of several; images are linked.

    Args:
        json_paths: dataset.json of each source.
        output: folder to create; its name is that of the task.
        names: of the sources, in the column `source` of cases.csv; by default their tasks.
        copy: copy the files instead of linking to them.
        overwrite: replace an existing `output`.
        dry_run: read the descriptions, look for all files, and write nothing.
        workers: local processes, or the address of a Dask scheduler.

    Raises:
        InputError: the sources do not agree in modality, channels or classes, all differences at once; or no case is
            usable, or `output` exists. Nothing is written.
    """
    sources = read_sources(json_paths, names)
    if dry_run:
        refuse_existing(output, overwrite=overwrite)
    cases, problems, warnings = _find(sources)
    total = len(cases) + len(problems)
    content = _description(sources, output.name, cases)
    _check_description(content, output / DATASET_JSON)
    if not dry_run:
        with new_folder(output, overwrite=overwrite, inputs=list(map(Path, json_paths))) as folder:
            place = functools.partial(_place, folder=folder, copy=copy)
            placed = map_cases(place, cases, name=_id_of, workers=workers, description="merge")
            problems += placed.problems
            written = set(placed.results)
            cases = [case for case in cases if (case.split, case.id) in written]
            if not _training(cases):
                raise InputError(problems)
            content = _description(sources, output.name, cases)  # of the cases that are there in the end
            _write_case_table(_training(cases), folder / CASE_TABLE_CSV)
            write_json(folder / DATASET_JSON, content)
            _check_cases(folder / DATASET_JSON, problems)
    return Converted(
        dataset_json=output / DATASET_JSON,
        table=_table(sources, content, cases),
        warnings=[*_unnamed_labels(sources), *_similar_names(sources), *_renamed_columns(cases), *warnings],
        problems=problems,
        total=total,
    )


def read_sources(json_paths: Sequence[Path], names: Sequence[str] = ()) -> list[Source]:
    """Read the descriptions and number their labels anew.

    Raises:
        InputError: a description is wrong, or they do not agree; all problems at once.
    """
    problems: list[Problem] = []
    specs: list[DatasetSpec] = []
    if len(json_paths) < 2:
        problems.append(Problem("sources", "are fewer than two. Name the dataset.json of each data set."))
    for path in json_paths:
        with Collecting(problems):
            specs.append(DatasetSpec.from_json(path))
    if problems:
        raise InputError(problems)
    named = _source_names(specs, names, problems)
    problems += _differences(specs)
    if problems:
        raise InputError(problems)
    values = _label_values(specs)
    ignored = 1 + max(values.values())
    sources = []
    for name, spec in zip(named, specs, strict=True):
        labels = {label: values[label_name] for label, label_name in spec.label_names.items() if label != 0}
        labels[0] = 0
        if spec.ignore_label is not None:
            labels[spec.ignore_label] = ignored
        sources.append(Source(name=name, spec=spec, labels=labels))
    return sources


def _source_names(specs: Sequence[DatasetSpec], names: Sequence[str], problems: list[Problem]) -> list[str]:
    chosen = list(names) or [spec.slug for spec in specs]
    if len(set(chosen)) < len(chosen) and not names:
        chosen = [spec.json_path.parent.name for spec in specs]
    if len(chosen) != len(specs):
        problems.append(Problem("--names", f"are {', '.join(chosen)}, but there are {len(specs)} data sets."))
    if len(set(chosen)) < len(chosen):
        problems.append(Problem("--names", f"are {', '.join(chosen)}; give each data set a name of its own."))
    for name in chosen:
        wrong = id_problem(name)
        if wrong:
            problems.append(Problem("--names", f"holds {name!r}, which {wrong}. Choose another name."))
    return chosen


def _differences(specs: Sequence[DatasetSpec]) -> list[Problem]:
    """Everything in which the data sets disagree with the first."""
    first = specs[0]
    members = _class_members(first)
    files = {first.json_path.resolve()}
    problems = []
    for spec in specs[1:]:
        place = f"{spec.json_path}: $"
        if spec.json_path.resolve() in files:
            problems.append(Problem(str(spec.json_path), "is named twice."))
        files.add(spec.json_path.resolve())
        if spec.modality != first.modality:
            message = f'is "{spec.modality}", but "{first.modality}" in {first.json_path}.'
            problems.append(Problem(f"{place}.modality", message))
        if set(spec.channel_names) != set(first.channel_names):
            message = (
                f"has the channels {', '.join(spec.channel_names)}, but {', '.join(first.channel_names)} in "
                f"{first.json_path}. Call the same channels by the same names; list those that cases may lack in "
                '"optional_images" and in "images" of both.'
            )
            problems.append(Problem(f"{place}.images", message))
        for name, labels in _class_members(spec).items():
            if members.setdefault(name, labels) != labels:
                others, own = sorted(members[name]), sorted(labels)
                message = (
                    f"is made of {list_names(own)} here and of {list_names(others)} elsewhere. Rename one of them."
                )
                problems.append(Problem(f"{place}.final_classes.{name}", message))
    return problems


def _class_members(spec: DatasetSpec) -> dict[str, frozenset[str]]:
    """Class -> names of its labels."""
    members = {}
    for name, labels in spec.final_classes.items():
        members[name] = frozenset(spec.label_names[label] for label in labels)
    return members


def _label_values(specs: Sequence[DatasetSpec]) -> dict[str, int]:
    """Name of a label -> its value in the merged data set: that of the first source, or a new one."""
    values: dict[str, int] = {}
    for label, name in specs[0].label_names.items():
        if label != 0:
            values[name] = label
    for spec in specs[1:]:
        for label, name in spec.label_names.items():
            if label != 0 and name not in values:
                values[name] = 1 + max(values.values(), default=0)
    return values


def _unnamed_labels(sources: Sequence[Source]) -> list[Problem]:
    """Warnings about labels that several sources share, but none of them names."""
    warnings = []
    counts: Counter[int] = Counter()
    for source in sources:
        for label, name in source.spec.label_names.items():
            if label != 0 and name == default_label_name(label):
                counts[label] += 1
    for label, count in sorted(counts.items()):
        if count > 1:
            message = "has no name in several data sets and is taken for the same structure in all of them."
            warnings.append(Problem(f"label {label}", f"{message} Name it in label_names or final_classes."))
    return warnings


def _similar_names(sources: Sequence[Source]) -> list[Problem]:
    """Warnings about labels or classes whose names differ in upper and lower case alone."""
    spellings: dict[str, dict[str, list[str]]] = {}  # without case -> spelling -> sources
    for source in sources:
        for name in dict.fromkeys([*source.spec.label_names.values(), *source.spec.final_classes]):
            spellings.setdefault(name.casefold(), {}).setdefault(name, []).append(source.name)
    warnings = []
    for by_spelling in spellings.values():
        if len(by_spelling) > 1:
            found = [f"{name} in {list_names(users)}" for name, users in by_spelling.items()]
            message = f"{list_names(found)} are kept apart. If they are the same structure, spell them the same."
            warnings.append(Problem("label_names", message))
    return warnings


def _find(sources: Sequence[Source]) -> tuple[list[MergedCase], list[Problem], list[Problem]]:
    """All cases with their new ids, a problem for each that cannot be used, and warnings."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    merged: list[MergedCase] = []
    refused: list[Problem] = []
    for split in _SPLITS:
        found: list[tuple[Source, Case]] = []
        for source in sources:
            if split == "test" and source.spec.test_dir is None:
                continue
            with Collecting(refused):
                listed = find_cases(source.spec, split)
                problems += [Problem(f"{source.name}: {problem.path}", problem.message) for problem in listed.problems]
                warnings += [Problem(f"{source.name}: {one.path}", one.message) for one in listed.warnings]
                found += [(source, case) for case in listed.cases]
        ids = _new_ids(found)
        for case_id, (source, case) in zip(ids, found, strict=True):
            merged.append(MergedCase(id=case_id, split=split, case=case, source=source))
    if refused:
        raise InputError(refused)
    return merged, problems, warnings


def _new_ids(found: Sequence[tuple[Source, Case]]) -> list[str]:
    """The ids of the cases; those that several sources have begin with the name of the source.

    Raises:
        InputError: two cases have the same id nevertheless.
    """
    counts = Counter(case.id.casefold() for _, case in found)
    ids = []
    for source, case in found:
        ids.append(case.id if counts[case.id.casefold()] == 1 else f"{source.name}_{case.id}")
    if len({name.casefold() for name in ids}) < len(ids):  # a new id is that of another case
        ids = [f"{source.name}_{case.id}" for source, case in found]
    holders: dict[str, list[str]] = {}
    for case_id, (source, case) in zip(ids, found, strict=True):
        holders.setdefault(case_id.casefold(), []).append(f"{case.id} of {source.name}")
    problems = []
    for case_id, cases in holders.items():
        if len(cases) > 1:
            message = f"would be the id of {list_names(cases)}. Give the data sets other names with --names."
            problems.append(Problem(case_id, message))
    if problems:
        raise InputError(problems)
    return ids


def _id_of(case: MergedCase) -> str:
    return case.id


def _place(merged: MergedCase, folder: Path, copy: bool) -> tuple[str, str]:
    """Write the folder of a case; returns its split and its id."""
    target = folder / merged.split / merged.id
    label = merged.case.label
    labels = merged.source.labels
    volume = None if label is None else _read_label(label, merged.source)  # before anything is written
    for channel, path in merged.case.images.items():
        place_file(path, target, channel, copy=copy)
    if label is None or volume is None:
        return merged.split, merged.id
    if all(label_here == label_there for label_here, label_there in labels.items()):
        place_file(label, target, MASK_NAME, copy=copy)
        return merged.split, merged.id
    array = as_labels(volume.array)
    relabelled = np.zeros(array.shape, label_dtype([0, max(labels.values())]))
    for value, new_value in labels.items():
        relabelled[array == value] = new_value
    save_nifti(relabelled, volume.affine, target / f"{MASK_NAME}.nii.gz")
    return merged.split, merged.id


def _read_label(path: Path, source: Source) -> Volume:
    """Read a label map.

    Raises:
        InputError: it cannot be read, or holds a value that the source does not describe. In the merged data set the
            value may be that of another structure.
    """
    volume = read_volume(path)
    unknown = sorted(set(np.unique(as_labels(volume.array)).tolist()) - set(source.labels))
    if unknown:
        message = f"holds {unknown[:8]}, but the labels of {source.name} are {sorted(source.labels)}."
        raise InputError(Problem(path.name, message))
    return volume


def _description(sources: Sequence[Source], task: str, cases: Sequence[MergedCase]) -> dict[str, Any]:
    first = sources[0].spec
    names = {0: first.label_names[0]}
    classes: dict[str, list[int]] = {}
    optional: set[str] = set()
    ignored = None
    for source in sources:
        spec = source.spec
        optional |= set(spec.optional_images)
        for label, name in spec.label_names.items():
            names.setdefault(source.labels[label], name)
        for name, members in spec.final_classes.items():
            classes[name] = sorted(source.labels[label] for label in members)
        if spec.ignore_label is not None:
            ignored = source.labels[spec.ignore_label]
    if ignored is not None:
        names[ignored] = _free_name(_IGNORE, [*names.values(), *classes])
    content = description(
        task=task,
        modality=first.modality,
        channels=first.channel_names,
        label_names=names,
        has_test=any(case.split == "test" for case in cases),
        final_classes=classes,
        ignore_label=ignored,
        optional_images=[name for name in first.channel_names if name in optional],
        description=_joined(sources, "description"),
        licence=_joined(sources, "licence"),
        reference=_joined(sources, "reference"),
    )
    if _is_partly_annotated(sources) and not _by_case(_training(cases)):
        content["annotated_labels"] = {SOURCE: {source.name: source.annotated for source in sources}}
    return content


def _free_name(name: str, taken: Collection[str]) -> str:
    """The name, with a number if something else is called so."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _check_description(content: Mapping[str, Any], place: Path) -> None:
    """Read the description as every other command will, beside empty case folders.

    Args:
        content: of dataset.json.
        place: where it will lie, for the message.

    Raises:
        InputError: the description would be refused.
    """
    with tempfile.TemporaryDirectory(prefix="mist_bundle_") as scratch:
        json_path = Path(scratch) / DATASET_JSON
        for split in _SPLITS:
            (json_path.parent / split / "case").mkdir(parents=True)
        write_json(json_path, content)
        try:
            DatasetSpec.from_json(json_path)
        except InputError as error:
            problems = []
            for problem in error.problems:
                problems.append(Problem(problem.path.replace(str(json_path), str(place)), problem.message))
            raise InputError(problems) from error


def _check_cases(json_path: Path, problems: Sequence[Problem]) -> None:
    """Find the cases as every other command will.

    Raises:
        InputError: they would be refused, as where all that annotate a label failed; with the problems before.
    """
    try:
        find_cases(DatasetSpec.from_json(json_path))
    except InputError as error:
        raise InputError([*problems, *error.problems]) from error


def _joined(sources: Sequence[Source], field: str) -> str:
    texts = []
    for source in sources:
        text = getattr(source.spec, field)
        if text:
            texts.append(f"{source.name}: {text}")
    return " ".join(texts)


def _is_partly_annotated(sources: Sequence[Source]) -> bool:
    return any(source.annotated != sources[0].annotated for source in sources)


def _training(cases: Sequence[MergedCase]) -> list[MergedCase]:
    return [merged for merged in cases if merged.split == "train"]


def _by_case(training: Sequence[MergedCase]) -> bool:
    """Whether a source itself was annotated in part, so that it has to be said case by case."""
    return any(merged.case.unlabelled for merged in training)


def _extra_columns(training: Sequence[MergedCase]) -> dict[str, str]:
    """Column of the sources -> its name in cases.csv; the column of their own that is called `source` is renamed."""
    extra: dict[str, None] = {}
    for merged in training:
        extra.update(dict.fromkeys(merged.case.extra))
    extra.pop(ANNOTATED, None)
    columns = {column: column for column in extra}
    if SOURCE in columns:
        columns[SOURCE] = _free_name(f"original_{SOURCE}", extra)
    return columns


def _renamed_columns(cases: Sequence[MergedCase]) -> list[Problem]:
    """A warning about the column that is renamed."""
    columns = _extra_columns(_training(cases))
    if SOURCE not in columns:
        return []
    message = f'of a data set is kept as "{columns[SOURCE]}"; "{SOURCE}" says which of the data sets a case is from.'
    return [Problem(f'{CASE_TABLE_CSV}: column "{SOURCE}"', message)]


def _write_case_table(training: Sequence[MergedCase], path: Path) -> None:
    columns = _extra_columns(training)
    by_case = _by_case(training)
    rows = []
    for merged in training:
        row = [merged.id, merged.source.name]
        for column in columns:
            cell = merged.case.extra.get(column, "")
            # patients of different sources are different persons, whatever they are called
            row.append(f"{merged.source.name}_{cell}" if column == PATIENT and cell else cell)
        if by_case:
            annotated = set(merged.source.annotated) - {merged.source.labels[label] for label in merged.case.unlabelled}
            row.append(" ".join(map(str, sorted(annotated))) or "0")
        rows.append(row)
    write_table(path, [ID_COLUMN, SOURCE, *columns.values(), *([ANNOTATED] if by_case else [])], rows)


def _table(sources: Sequence[Source], content: Mapping[str, Any], cases: Sequence[MergedCase]) -> list[tuple[str, str]]:
    """What was understood, as rows of property and value."""
    rows = description_table(content)
    for source in sources:
        counts = Counter(merged.split for merged in cases if merged.source is source)
        renumbered = []
        for label, new_label in source.labels.items():
            if label != new_label:
                renumbered.append(f"{label} becomes {new_label}")
        annotates = f"annotates {', '.join(map(str, source.annotated))}"
        numbers = f"{counts['train']} training and {counts['test']} test cases"
        rows.append((source.name, "; ".join([numbers, annotates, *renumbered])))
    renamed = sum(merged.id != merged.case.id for merged in cases)
    rows.append(("renamed cases", f"{renamed}, which begin with the name of their source" if renamed else "none"))
    return rows
