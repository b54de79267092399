"""Reading, checking and placing the files of a case whose layout is known: the same for every converter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mist_bundle.dataset.integrity import check_headers, count_labels
from mist_bundle.dataset.layout import MASK_NAME, place_file, save_nifti, split_channels
from mist_bundle.dataset.merged_masks import LabelScheme, Members, MergedMasks, merge_masks
from mist_bundle.dataset.volumes import Volume, num_channels, read_channels, read_volume
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.runtime.numerics.restore import label_dtype
from mist_bundle.runtime.wording import list_names

# a structure without a mask file is absent from the case, was not annotated there, or is a reason to refuse the case
ABSENT, UNANNOTATED, REFUSE = "absent", "unannotated", "refuse"
Channels = Mapping[str, tuple[str, ...]]  # column -> names of the channels of its images


@dataclass(frozen=True, kw_only=True, slots=True)
class FileCase:
    """The files of a case, wherever they lie.

    Attributes:
        id: of the case.
        images: column -> image file; a 4D image holds several channels. Optional columns may be left out.
        label: label map; None where there are masks instead, or no label.
        masks: structure -> mask file, for the structures that have one.
        extra: what else the source says about the case, column -> text.
    """

    id: str
    images: dict[str, Path]
    label: Path | None = None
    masks: dict[str, Path] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseSource:
    """Cases of another layout, found but not yet read.

    Attributes:
        place: table or folder that they come from.
        columns: columns of images, in the order of the channels.
        training: cases with labels.
        testing: cases without.
        optional: columns of images that a case may lack.
        structures: names of the structures that have a mask file each, in their order; empty with label maps.
        label_names: label value -> name, as far as the source says.
        problems: a Problem for each entry that is not a usable case.
        warnings: oddities of the source.
        extra_columns: what `FileCase.extra` may hold.
        inputs: files and folders that must not be replaced, besides `place`.
        modality: "ct", "mr" or "other"; "" where the source does not say.
        texts: description, licence and reference, as far as the source states them.
    """

    place: Path
    columns: tuple[str, ...]
    training: tuple[FileCase, ...]
    testing: tuple[FileCase, ...] = ()
    optional: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()
    label_names: Mapping[int, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    extra_columns: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
    modality: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseContent:
    """What the files of a case hold.

    Attributes:
        id: of the case.
        labels: values of its label map; empty where masks are merged.
        minimum: lowest intensity of the first channel.
        members: number that stands in the merged label map for now -> structures that share its voxels.
        overlaps: pair of structures -> voxels that both hold.
        missing: structures without a mask file.
    """

    id: str
    labels: tuple[int, ...]
    minimum: float
    members: dict[int, Members] = field(default_factory=dict)
    overlaps: dict[tuple[str, str], int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Placing:
    """How the files of a case are placed.

    Attributes:
        channels: column -> names of the channels of its images.
        optional: columns that a case may lack.
        structures: structures whose masks are merged; empty where label maps are taken as they are.
        require_masks: refuse a case that lacks the mask of a structure.
        copy: copy files instead of linking to them.
        folder: parent of the case folders; None to check only.
    """

    channels: Channels
    optional: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()
    require_masks: bool = False
    copy: bool = False
    folder: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Files:
    """The files of a case in memory: images by column (of several channels as (X, Y, Z, C)), masks and label."""

    images: dict[str, Volume]
    masks: dict[str, Volume]
    label: Volume | None


def place_case(case: FileCase, placing: Placing) -> CaseContent:
    """Read and check all files of a case, then write its folder.

    Raises:
        InputError: files are missing, damaged, or do not lie on the grid of the first image; all problems at once.
    """
    missing = tuple(structure for structure in placing.structures if structure not in case.masks)
    problems: list[Problem] = []
    if missing and placing.require_masks:
        problems.append(Problem("masks", f"has no mask file for {list_names(missing)}."))
    files = _read_files(case, placing, problems)
    if not files.images:
        raise InputError(problems or [Problem("images", "has no image at all.")])
    first = next(iter(files.images.values()))
    labels: tuple[int, ...] = ()
    merged: MergedMasks | None = None
    with Collecting(problems):
        _refuse_other_grids(first, files)
    with Collecting(problems):
        labels = () if files.label is None else label_values(files.label)
    with Collecting(problems):
        merged = merge_masks(first, files.masks, placing.structures) if placing.structures else None
    if problems:
        raise InputError(problems)
    if placing.folder is not None:
        _write_case(case, placing, placing.folder / case.id, first, merged)
    lowest = first.array[..., 0].min() if first.array.ndim > 3 else first.array.min()
    return CaseContent(
        id=case.id,
        labels=labels,
        minimum=float(lowest),
        members={} if merged is None else merged.members,
        overlaps={} if merged is None else merged.overlaps(),
        missing=missing,
    )


def write_labels(content: CaseContent, folder: Path, scheme: LabelScheme) -> None:
    """Replace the numbers of a merged label map by the labels that all cases share."""
    path = folder / content.id / f"{MASK_NAME}.nii.gz"
    lookup = scheme.lookup(content.members)
    if np.array_equal(lookup, np.arange(len(lookup))):
        return
    volume = read_volume(path)
    labels = lookup[volume.array.astype(np.int64)]
    save_nifti(labels.astype(label_dtype([0, int(lookup.max())])), volume.affine, path)


def label_values(mask: Volume) -> tuple[int, ...]:
    """The values of a label map.

    Raises:
        InputError: some are not labels.
    """
    labels: list[int] = []
    broken: list[str] = []
    for value in count_labels(mask.array):
        if isinstance(value, int) and value >= 0:
            labels.append(value)
        else:
            broken.append(str(value))
    if broken:
        message = f"holds [{list_names(broken)}]; labels must be whole numbers, 0 or larger."
        raise InputError(Problem(mask.name, message))
    return tuple(labels)


def _read_files(case: FileCase, placing: Placing, problems: list[Problem]) -> _Files:
    """Read every file; those that cannot be read are added to `problems`."""
    images: dict[str, Volume] = {}
    masks: dict[str, Volume] = {}
    label: dict[str, Volume] = {}
    for column, names in placing.channels.items():
        if column in case.images or column not in placing.optional:
            _read_image(case, column, names, images, problems)
    for structure in placing.structures:
        if structure in case.masks:
            _read_into(masks, structure, case.masks[structure], problems)
    if case.label is not None:
        _read_into(label, MASK_NAME, case.label, problems)
    return _Files(images=images, masks=masks, label=label.get(MASK_NAME))


def _read_image(
    case: FileCase, column: str, names: Sequence[str], images: dict[str, Volume], problems: list[Problem]
) -> None:
    path = case.images.get(column)
    if path is None:
        problems.append(Problem(f'"{column}"', "has no image in this case."))
        return
    held = len(names)
    with Collecting(problems):
        held = num_channels(path)
    if held != len(names):
        message = f"{path.name} holds {held} channels, but those of most cases {len(names)} ({', '.join(names)})."
        problems.append(Problem(f'"{column}"', message))
        return
    _read_into(images, column, path, problems, read_channels if held > 1 else read_volume)


def _refuse_other_grids(first: Volume, files: _Files) -> None:
    """Raise InputError naming the images, and the label, that do not lie on the grid of the first image."""
    others = dict(files.images)
    if files.label is not None:
        others[MASK_NAME] = files.label
    problems = []
    for name, volume in others.items():
        for finding in check_headers(first, volume.on_grid_of(first)):
            problems.append(Problem(f'"{name}"', finding))
    if problems:
        raise InputError(problems)


def _write_case(case: FileCase, placing: Placing, folder: Path, first: Volume, merged: MergedMasks | None) -> None:
    for column, names in placing.channels.items():
        if column not in case.images:
            continue  # it is optional
        if len(names) == 1:
            place_file(case.images[column], folder, names[0], copy=placing.copy)
        else:
            split_channels(case.images[column], folder, names)
    if case.label is not None:
        place_file(case.label, folder, MASK_NAME, copy=placing.copy)
    if merged is not None:
        codes = merged.codes.astype(label_dtype([0, max(merged.members, default=0)]))
        save_nifti(codes, first.affine, folder / f"{MASK_NAME}.nii.gz")


def _read_into(
    volumes: dict[str, Volume],
    name: str,
    path: Path,
    problems: list[Problem],
    read: Callable[[Path], Volume] = read_volume,
) -> None:
    with Collecting(problems):
        volumes[name] = read(path)
