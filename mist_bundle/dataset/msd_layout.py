"""Conversion from the Medical Segmentation Decathlon's layout (imagesTr, labelsTr, 4D files) to a folder for each case.

Files are linked where possible, and the channels, labels and licence of the original dataset.json are kept.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.dataset.channels import channel_names, modality_of
from mist_bundle.dataset.conversion import Converted
from mist_bundle.dataset.conversion_remarks import description_table
from mist_bundle.dataset.foreign import advising
from mist_bundle.dataset.layout import (
    MASK_NAME,
    SourceCase,
    convert_cases,
    description,
    place_file,
    raise_failures,
    split_channels,
    usable_cases,
)
from mist_bundle.dataset.volumes import read_affine
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import DATASET_JSON, as_json, new_folder, read_json, refuse_existing, write_json
from mist_bundle.runtime.reading.formats import image_stem

# required keys -> kind of their values, and what JSON calls it
_KINDS = {"modality": (dict, "an object"), "labels": (dict, "an object"), "training": (list, "a list")}


def convert_msd(
    source: Path,
    output: Path,
    copy: bool = False,
    overwrite: bool = False,
    limit: int | None = None,
    start: int = 0,
    workers: int | str | None = None,
) -> Path:
    """Convert a Decathlon task to the layout that `DatasetSpec.from_json` reads.

    Args:
        source: folder of the task, or its dataset.json.
        output: folder to create.
        copy: copy the files instead of linking to them. 4D images are always written again, a file for each channel.
        overwrite: replace an existing `output`.
        limit: use only this many labelled cases, in the order of their ids; None for all.
        start: skip this many labelled cases first.
        workers: local processes, or the address of a Dask scheduler.

    Returns:
        Path of the new dataset.json.

    Raises:
        InputError: the source is not in MSD layout, has no usable case, or `output` exists. Nothing is written.
        CaseFailure: some cases have missing or damaged files; the others are converted.
    """
    output = Path(output)
    task = _read_task(Path(source), limit, start)
    place_case = functools.partial(_place_case, channels=task.channels, copy=copy)
    with new_folder(output, overwrite=overwrite, inputs=_inputs(task), mark=DATASET_JSON) as folder:
        written = convert_cases(place_case, folder, training=task.training, testing=task.testing, workers=workers)
        write_json(folder / DATASET_JSON, _new_description(task, has_test=bool(written.testing)))
    raise_failures(written.problems, len(task.training) + len(task.testing))
    return output / DATASET_JSON


def check_msd(
    source: Path, output: Path, *, overwrite: bool = False, limit: int | None = None, start: int = 0
) -> Converted:
    """Read the description and the headers of all files of a task as `convert_msd` does, and write nothing.

    Raises:
        InputError: as for `convert_msd`.
    """
    refuse_existing(output, overwrite=overwrite, mark=DATASET_JSON)
    task = _read_task(Path(source), limit, start)
    cases = [*task.training, *task.testing]
    usable = usable_cases(cases, lambda case: _check_channels(case, task.channels))
    content = _new_description(task, has_test=bool(usable.testing))
    table = description_table(content)
    table += [("training cases", str(len(usable.training))), ("test cases", str(len(usable.testing)))]
    return Converted(
        dataset_json=output / DATASET_JSON,
        table=table,
        warnings=[],
        problems=list(usable.problems),
        total=len(cases),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Task:
    """A task of the Decathlon: its description, the names of its channels, and its cases."""

    json_path: Path
    content: dict[str, Any]
    channels: tuple[str, ...]
    training: list[SourceCase]
    testing: list[SourceCase]


def _inputs(task: _Task) -> list[Path]:
    """The files and folders that are read."""
    inputs = [task.json_path]
    for case in (*task.training, *task.testing):
        for path in (*case.images, *filter(None, [case.label])):
            inputs.append(path.parent if path.parent != task.json_path.parent else path)
    return list(dict.fromkeys(inputs))


def _read_task(source: Path, limit: int | None, start: int) -> _Task:
    json_path = source / DATASET_JSON if source.is_dir() else source
    with advising(source, "convert_msd"):
        content = _read_description(json_path)
    end = None if limit is None else start + limit
    training = _source_cases(json_path, content["training"], labelled=True)[start:end]
    if not training:
        raise InputError(Problem(str(json_path), f"has no labelled case behind the first {start}."))
    return _Task(
        json_path=json_path,
        content=content,
        channels=channel_names(content["modality"]),
        training=training,
        testing=_source_cases(json_path, content.get("test") or [], labelled=False),
    )


def _read_description(json_path: Path) -> dict[str, Any]:
    content = read_json(json_path)
    if not isinstance(content, dict):
        raise InputError(Problem(str(json_path), "must hold a JSON object, as the MSD's dataset.json does."))
    problems = []
    for key, (kind, words) in _KINDS.items():
        value = content.get(key)
        if not isinstance(value, kind) or not value:
            said = "is missing" if value is None else f"is {as_json(value)}"
            message = f"{said}; expected {words} with content. Is this a task folder of the MSD?"
            problems.append(Problem(f"{json_path}: $.{key}", message))
    labels = content.get("labels")
    if isinstance(labels, dict):
        problems += _label_problems(json_path, labels)
    if problems:
        raise InputError(problems)
    return content


def _label_problems(json_path: Path, labels: dict[str, Any]) -> list[Problem]:
    problems = []
    named: dict[str, list[str]] = {}
    for label, name in labels.items():
        named.setdefault(str(name), []).append(str(label))
        if re.fullmatch(r"\d+", str(label)):
            continue
        message = f"has the label {label!r}; expected numbers."
        if isinstance(name, int):
            message += " nnU-Net writes names first."
        problems.append(Problem(f"{json_path}: $.labels", message))
    for name, values in named.items():
        if len(values) > 1:
            message = f"calls the labels {', '.join(values)} all {name!r}. Tell them apart."
            problems.append(Problem(f"{json_path}: $.labels", message))
    return problems


def _source_cases(json_path: Path, entries: Sequence[Any], *, labelled: bool) -> list[SourceCase]:
    """Cases of a "training" or "test" list, sorted by id.

    Raises:
        InputError: an entry is none, has no label where it must, or names a case that another has named.
    """
    folder = json_path.parent
    cases: list[SourceCase] = []
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        image, label = entry, None
        if isinstance(entry, dict):
            image, label = entry.get("image"), entry.get("label")
        if not isinstance(image, str) or not (label is None or isinstance(label, str)):
            message = f'is {entry!r}; expected {{"image": path, "label": path}} or, for test cases, a path.'
            problems.append(Problem(f"{folder / DATASET_JSON}: entry {index}", message))
            continue
        if labelled and label is None:
            message = f'has no "label" for {image}. Name it, or move the entry to "test".'
            problems.append(Problem(f"{folder / DATASET_JSON}: entry {index}", message))
            continue
        image_file = folder / image
        label_file = folder / label if label else None
        cases.append(SourceCase(id=image_stem(image_file), images=(image_file,), label=label_file))
    for case_id, count in Counter(case.id for case in cases).items():
        if count > 1:
            problems.append(Problem(f"{folder / DATASET_JSON}: {case_id}", f"is listed {count} times. Keep it once."))
    if problems:
        raise InputError(problems)
    return sorted(cases, key=lambda case: case.id)


def _place_case(case: SourceCase, folder: Path, channels: Sequence[str], copy: bool) -> None:
    (image,) = case.images
    target = folder / case.id
    if _is_4d(image, channels):
        split_channels(image, target, channels)
    else:
        place_file(image, target, channels[0], copy=copy)
    if case.label is not None:
        place_file(case.label, target, MASK_NAME, copy=copy)


def _check_channels(case: SourceCase, channels: Sequence[str]) -> None:
    _is_4d(case.images[0], channels)


def _is_4d(image: Path, channels: Sequence[str]) -> bool:
    """Whether an image holds its channels in a fourth axis.

    Raises:
        InputError: it has not as many channels as the task, or its header cannot be read.
    """
    shape, _ = read_affine(image)
    num_channels = shape[3] if len(shape) == 4 else 1
    if len(shape) not in (3, 4) or num_channels != len(channels):
        message = f"has the shape {shape}, but dataset.json lists {len(channels)} channels {list(channels)}."
        raise InputError(Problem(image.name, message))
    return len(shape) == 4


def _new_description(task: _Task, *, has_test: bool) -> dict[str, Any]:
    content = task.content
    return description(
        task=str(content.get("name") or task.json_path.parent.name),
        modality=modality_of(content["modality"].values()),
        channels=task.channels,
        label_names={int(label): str(name) for label, name in content["labels"].items()},
        has_test=has_test,
        description=str(content.get("description", "")),
        licence=str(content.get("licence") or content.get("license") or ""),
        reference=str(content.get("reference", "")),
    )
