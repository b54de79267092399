"""Several datasets as a single one: labels joined by name, and each case marked with the source it comes from.

What a source does not annotate is unknown in its cases, not background: `annotated_labels` says so.
"""

from __future__ import annotations

import functools
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.dataset.cases import CASE_TABLE_CSV, find_cases
from mist_bundle.dataset.conversion import Converted
from mist_bundle.dataset.conversion_remarks import description_table
from mist_bundle.dataset.layout import description
from mist_bundle.dataset.leakage import output_within_data
from mist_bundle.dataset.merged_cases import SPLITS, MergedCase, find_merged, place_merged
from mist_bundle.dataset.merged_sources import (
    Source,
    annotate_differently,
    read_sources,
    similar_label_names,
    unnamed_labels,
)
from mist_bundle.dataset.merged_table import (
    SOURCE,
    annotated_by_case,
    renamed_columns,
    training_cases,
    write_case_table,
)
from mist_bundle.dataset.names import free_name
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import InputError, Problem, count_paths
from mist_bundle.files import DATASET_JSON, new_folder, refuse_existing, write_json
from mist_bundle.parallel import map_cases

_IGNORE = "ignore"


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
    """Write a dataset with the cases of several; images are linked.

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
    within = []
    for source in sources:
        within += output_within_data(output, source.spec)
    if within:
        raise InputError(within)
    if dry_run:
        refuse_existing(output, overwrite=overwrite, mark=DATASET_JSON)
    cases, problems, warnings = find_merged(sources)
    total = len(cases) + count_paths(problems)
    content = _description(sources, output.name, cases)
    _check_description(content, output / DATASET_JSON)
    if not dry_run:
        with new_folder(output, overwrite=overwrite, inputs=_inputs(sources), mark=DATASET_JSON) as folder:
            place = functools.partial(place_merged, folder=folder, copy=copy)
            placed = map_cases(place, cases, name=lambda case: case.id, workers=workers, description="merge")
            problems += placed.problems
            written = set(placed.results)
            cases = [case for case in cases if (case.split, case.id) in written]
            if not training_cases(cases):
                raise InputError(problems)
            content = _description(sources, output.name, cases)  # of the cases that are there in the end
            write_case_table(training_cases(cases), folder / CASE_TABLE_CSV)
            write_json(folder / DATASET_JSON, content)
            _check_cases(folder / DATASET_JSON, problems)
    return Converted(
        dataset_json=output / DATASET_JSON,
        table=_table(sources, content, cases),
        warnings=[*unnamed_labels(sources), *similar_label_names(sources), *renamed_columns(cases), *warnings],
        problems=problems,
        total=total,
    )


def _inputs(sources: Sequence[Source]) -> list[Path]:
    """The files and folders that are read."""
    inputs = []
    for source in sources:
        inputs += [source.spec.json_path, source.spec.train_dir]
        if source.spec.test_dir is not None:
            inputs.append(source.spec.test_dir)
    return inputs


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
        names[ignored] = free_name(_IGNORE, [*names.values(), *classes])
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
    if annotate_differently(sources) and not annotated_by_case(training_cases(cases)):
        content["annotated_labels"] = {SOURCE: {source.name: source.annotated for source in sources}}
    return content


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
        for split in SPLITS:
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
