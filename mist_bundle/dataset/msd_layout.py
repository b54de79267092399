"""From the Medical Segmentation Decathlon's layout (imagesTr, labelsTr, 4D files) to one folder for each case.

Nothing is copied that can be linked, and what the MSD's dataset.json says about channels, labels and licence is kept.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.dataset.layout import MASK_NAME, description, place_file, raise_failures, split_channels
from mist_bundle.dataset.names import RESERVED_COLUMNS, file_name_problem, image_stem
from mist_bundle.dataset.volumes import read_affine
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import DATASET_JSON, new_folder, read_json, write_json
from mist_bundle.parallel import map_cases

# words that the decathlon and datasets in its layout use for magnetic resonance channels
_MR_WORDS = re.compile(r"mri?|t1|t2|flair|adc|dwi|pd|swi|gd|contrast|magnetic resonance", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """One case of the source; `label` is None for test cases."""

    id: str
    image: Path
    label: Path | None


def convert_msd(
    source: Path,
    output: Path,
    copy: bool = False,
    overwrite: bool = False,
    limit: int | None = None,
    start: int = 0,
    workers: int | str = 1,
) -> Path:
    """Lay out a decathlon task as `DatasetSpec.from_json` reads it.

    Args:
        source: the task's folder (or its dataset.json).
        output: folder to make.
        copy: copy the files instead of linking to them. 4D images are always written anew, one file a channel.
        overwrite: replace what lies at `output`.
        limit: take only so many labelled cases, in the order of their ids; all where None.
        start: leave out so many labelled cases before.
        workers: local processes, or the address of a Dask scheduler.

    Returns:
        Path of the new dataset.json.

    Raises:
        InputError: the source is not in MSD layout, has no usable case, or `output` exists. Nothing is written.
        CaseFailure: some cases have missing or damaged files; the others have been laid out.
    """
    source, output = Path(source), Path(output)
    json_path = source / DATASET_JSON if source.is_dir() else source
    content = _read_description(json_path)
    channels = channel_names(content["modality"])
    train = _sources(json_path.parent, content["training"])[start : None if limit is None else start + limit]
    test = _sources(json_path.parent, content.get("test") or [])
    if not train:
        raise InputError(Problem(str(json_path), f"has no labelled case from number {start} on (limit {limit})."))
    with new_folder(output, overwrite=overwrite) as folder:
        problems: list[Problem] = []
        for split, sources in (("train", train), ("test", test)):
            lay_out = functools.partial(_lay_out, folder=folder / split, channels=channels, copy=copy)
            outcome = map_cases(lay_out, sources, name=_name, workers=workers, description=f"convert {split}")
            problems += outcome.problems
            if split == "train" and not outcome.results:
                raise InputError(problems)
        has_test = any((folder / "test").iterdir()) if (folder / "test").is_dir() else False
        write_json(folder / DATASET_JSON, _new_description(json_path, content, channels, has_test=has_test))
    raise_failures(problems, len(train) + len(test))
    return output / DATASET_JSON


def _read_description(json_path: Path) -> dict[str, Any]:
    content = read_json(json_path)
    if not isinstance(content, dict):
        raise InputError(Problem(str(json_path), "must hold a JSON object, as the MSD's dataset.json does."))
    expected = {"modality": dict, "labels": dict, "training": list}
    problems = [
        Problem(f"{json_path}: $.{key}", f"is missing or no {kind.__name__}; is this a task folder of the MSD?")
        for key, kind in expected.items()
        if not isinstance(content.get(key), kind) or not content[key]
    ]
    for label in content["labels"] if isinstance(content.get("labels"), dict) else ():
        if not re.fullmatch(r"\d+", str(label)):
            names_first = isinstance(content["labels"][label], int)
            hint = "nnU-Net writes names first: use convert_nnunet." if names_first else ""
            problems.append(
                Problem(f"{json_path}: $.labels", f"has the label {label!r}; expected numbers. {hint}".strip())
            )
    if problems:
        raise InputError(problems)
    return content


def channel_names(modality: dict[str, Any]) -> tuple[str, ...]:
    """File-name-safe lower-case names, in the order of the channel numbers, each different."""
    names: list[str] = []
    for index in sorted(modality, key=lambda key: (len(key), key)):
        words = re.sub(r"[^a-z0-9-]+", "_", str(modality[index]).lower()).strip("_") or f"channel_{index}"
        taken = words in names or words in RESERVED_COLUMNS or file_name_problem(words)
        names.append(f"{words}_{index}" if taken else words)
    return tuple(names)


def modality_of(names: Iterable[str]) -> str:
    """The modality that the names of the channels tell: "ct", "mr" or "other"."""
    words = [str(name) for name in names]
    if all(word.strip().lower() in {"ct", "cbct"} for word in words):
        return "ct"
    return "mr" if all(_MR_WORDS.search(word) for word in words) else "other"


def _sources(folder: Path, entries: Sequence[Any]) -> list[_Source]:
    found: list[_Source] = []
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        image = entry.get("image") if isinstance(entry, dict) else entry
        label = entry.get("label") if isinstance(entry, dict) else None
        if not isinstance(image, str) or not (label is None or isinstance(label, str)):
            message = f'is {entry!r}; expected {{"image": path, "label": path}} or, for test cases, a path.'
            problems.append(Problem(f"{folder / DATASET_JSON}: entry {index}", message))
            continue
        path = folder / image
        found.append(_Source(id=image_stem(path), image=path, label=folder / label if label else None))
    if problems:
        raise InputError(problems)
    return sorted(found, key=_name)


def _name(source: _Source) -> str:
    return source.id


def _lay_out(source: _Source, folder: Path, channels: Sequence[str], copy: bool) -> None:
    missing = [path for path in (source.image, source.label) if path is not None and not path.is_file()]
    if missing:
        raise InputError([Problem(str(path), "does not exist.") for path in missing])
    shape, _ = read_affine(source.image)
    num_channels = shape[3] if len(shape) == 4 else 1
    if len(shape) not in (3, 4) or num_channels != len(channels):
        message = f"has the shape {shape}, but dataset.json lists {len(channels)} channels {list(channels)}."
        raise InputError(Problem(source.image.name, message))
    target = folder / source.id
    if len(shape) == 4:
        split_channels(source.image, target, channels)
    else:
        place_file(source.image, target, channels[0], copy=copy)
    if source.label is not None:
        place_file(source.label, target, MASK_NAME, copy=copy)


def _new_description(
    json_path: Path, content: dict[str, Any], channels: Sequence[str], *, has_test: bool
) -> dict[str, Any]:
    return description(
        task=str(content.get("name") or json_path.parent.name),
        modality=modality_of(content["modality"].values()),
        channels=channels,
        label_names={int(label): str(name) for label, name in content["labels"].items()},
        has_test=has_test,
        description=str(content.get("description", "")),
        licence=str(content.get("licence") or content.get("license") or ""),
        reference=str(content.get("reference", "")),
    )
