"""Conversion of nnU-Net's raw data (imagesTr/<case>_0000.nii.gz, labelsTr, dataset.json) to a folder for each case.

Files are linked, not copied. Class names, regions and the ignore label are kept; splits_final.json becomes a table of
folds beside dataset.json. The source format is described in nnU-Net's documentation/dataset_format.md and
region_based_training.md.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mist_bundle.dataset.conversion import Converted
from mist_bundle.dataset.layout import (
    MASK_NAME,
    SourceCase,
    UsableCases,
    convert_cases,
    description,
    place_file,
    usable_cases,
)
from mist_bundle.dataset.names import similar_names
from mist_bundle.dataset.nnunet_labels import IGNORE
from mist_bundle.dataset.nnunet_source import NnunetDataset, read_nnunet
from mist_bundle.dataset.nnunet_splits import SPLITS_JSON
from mist_bundle.dataset.tables import read_table
from mist_bundle.errors import Problem
from mist_bundle.files import DATASET_JSON, new_folder, refuse_existing, write_json, write_text
from mist_bundle.runtime.wording import list_names

FOLDS_CSV = "folds.csv"


def convert_nnunet(
    source: Path,
    output: Path,
    *,
    splits: Path | None = None,
    copy: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    workers: int | str | None = None,
) -> Converted:
    """Convert an nnU-Net raw dataset to the layout that `DatasetSpec.from_json` reads.

    Args:
        source: folder with dataset.json, imagesTr and labelsTr, or the dataset.json itself.
        output: folder to create.
        splits: splits_final.json of nnU-Net's preprocessed folder; it becomes folds.csv.
        copy: copy the files instead of linking to them.
        overwrite: replace an existing `output`.
        dry_run: look for all files, and write nothing.
        workers: local processes, or the address of a Dask scheduler.

    Returns:
        What was understood; cases with missing files are among the problems, and the others are converted.

    Raises:
        InputError: the source is no such dataset, has no usable case, or `output` exists. Nothing is written.
    """
    dataset = read_nnunet(Path(source), splits)
    output = Path(output)
    if dry_run:
        refuse_existing(output, overwrite=overwrite, mark=DATASET_JSON)
        kept, problems = _kept(dataset, usable_cases([*dataset.training, *dataset.testing]))
    else:
        kept, problems = _write(dataset, output, copy=copy, overwrite=overwrite, workers=workers)
    warnings = [*kept.warnings]
    for part in (kept.training, kept.testing):
        warnings += similar_names(case.id for case in part)
    return Converted(
        dataset_json=output / DATASET_JSON,
        table=kept.table(),
        warnings=warnings,
        problems=problems,
        total=dataset.num_cases,
    )


def fold_options(dataset_json: Path) -> str:
    """The options with which autoconfig keeps the folds of nnU-Net; "" where there are none.

    Args:
        dataset_json: of a converted dataset.
    """
    path = dataset_json.parent / FOLDS_CSV
    if not path.is_file():
        return ""
    folds = [int(row.cells["fold"]) for row in read_table(path).rows]
    return f" --folds {1 + max(folds)} --fold_file {shlex.quote(str(path))}"


def _write(
    dataset: NnunetDataset, output: Path, *, copy: bool, overwrite: bool, workers: int | str | None
) -> tuple[NnunetDataset, list[Problem]]:
    """Write the new dataset; what there is of it in the end, and a Problem for each case that is not."""
    place_case = functools.partial(_place_case, channels=dataset.channels, copy=copy)
    with new_folder(output, overwrite=overwrite, inputs=_inputs(dataset), mark=DATASET_JSON) as folder:
        written = convert_cases(place_case, folder, training=dataset.training, testing=dataset.testing, workers=workers)
        kept, problems = _kept(dataset, written)
        write_json(folder / DATASET_JSON, _new_description(kept, has_test=bool(kept.testing)))
        if kept.folds:
            lines = ["id,fold"]
            for case_id, fold in sorted(kept.folds.items()):
                lines.append(f"{case_id},{fold}")
            write_text(folder / FOLDS_CSV, "\n".join(lines) + "\n")
    return kept, problems


def _kept(dataset: NnunetDataset, usable: UsableCases) -> tuple[NnunetDataset, list[Problem]]:
    """The dataset with its usable cases alone, and a Problem for each of the others.

    Folds are dropped where one of them would hold out no case.
    """
    training = tuple(case for case in dataset.training if case.id in usable.training)
    testing = tuple(case for case in dataset.testing if case.id in usable.testing)
    folds = {}
    for case_id in usable.training:
        if case_id in dataset.folds:
            folds[case_id] = dataset.folds[case_id]
    warnings = list(dataset.warnings)
    empty = sorted(set(dataset.folds.values()) - set(folds.values()))
    if empty:
        message = f"its folds are not kept: every case of fold {list_names(list(map(str, empty)))} was left out."
        warnings.append(Problem(SPLITS_JSON, f"{message} Mend these cases to keep them."))
        folds = {}
    kept = replace(dataset, training=training, testing=testing, folds=folds, warnings=tuple(warnings))
    return kept, [*dataset.problems, *usable.problems]


def _inputs(dataset: NnunetDataset) -> list[Path]:
    """The files and folders that are read."""
    inputs = [dataset.folder / DATASET_JSON]
    for case in (*dataset.training, *dataset.testing):
        for path in case.images:
            inputs.append(path.parent)
        if case.label is not None:
            inputs.append(case.label.parent)
    return list(dict.fromkeys(inputs))


def _place_case(case: SourceCase, folder: Path, channels: Sequence[str], copy: bool) -> None:
    for channel, image in zip(channels, case.images, strict=True):
        place_file(image, folder / case.id, channel, copy=copy)
    if case.label is not None:
        place_file(case.label, folder / case.id, MASK_NAME, copy=copy)


def _new_description(dataset: NnunetDataset, *, has_test: bool) -> dict[str, Any]:
    labels = dataset.labels
    label_names = dict(labels.names)
    if labels.ignore is not None:
        label_names[labels.ignore] = IGNORE
    return description(
        task=dataset.name,
        modality=dataset.modality,
        channels=dataset.channels,
        label_names=label_names,
        has_test=has_test,
        final_classes=labels.final_classes,
        ignore_label=labels.ignore,
        **dataset.texts,
    )
