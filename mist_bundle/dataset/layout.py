"""Writing converted datasets: a folder for each case, files named after their channels, links instead of copies."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.names import IMAGE_SUFFIXES, slug
from mist_bundle.dataset.volumes import read_channels, read_volume
from mist_bundle.errors import CaseFailure, InputError, Problem
from mist_bundle.files import real_path
from mist_bundle.parallel import map_cases
from mist_bundle.runtime.reading.formats import NIFTI, image_suffix

MASK_NAME = "mask"

# headers whose voxels lie in a second file, which a link of another name would not reach
_PAIRS = (".mhd", ".nhdr", ".hdr")


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceCase:
    """A case of the source dataset.

    Attributes:
        id: case id.
        images: image files, in the order of the channels.
        label: label file; None for test cases.
    """

    id: str
    images: tuple[Path, ...]
    label: Path | None


@dataclass(frozen=True, kw_only=True, slots=True)
class UsableCases:
    """The cases of a conversion that are there in the end, or would be after a dry run.

    Attributes:
        training: ids of the labelled cases.
        testing: ids of the test cases.
        problems: a Problem for each of the other cases.
    """

    training: frozenset[str]
    testing: frozenset[str]
    problems: tuple[Problem, ...]


def convert_cases(
    place_case: Callable[[SourceCase, Path], None],
    folder: Path,
    *,
    training: Sequence[SourceCase],
    testing: Sequence[SourceCase],
    workers: int | str | None,
) -> UsableCases:
    """Write the case folders below `folder/train` and `folder/test`.

    Args:
        place_case: a picklable function that writes a case into the folder of its split. Missing files are reported
            before it is called.
        folder: root of the converted dataset.
        training: labelled cases.
        testing: test cases.
        workers: local processes, or the address of a Dask scheduler.

    Raises:
        InputError: no training case could be written.
    """
    problems: list[Problem] = []
    written: list[frozenset[str]] = []
    for split, cases in (("train", training), ("test", testing)):
        write = functools.partial(_write_case, place_case=place_case, folder=folder / split)
        outcome = map_cases(write, cases, name=_case_id, workers=workers, description=f"convert {split}")
        problems += outcome.problems
        written.append(frozenset(outcome.results))
        if split == "train" and not outcome.results:
            raise InputError(problems)
    return UsableCases(training=written[0], testing=written[1], problems=tuple(problems))


def _case_id(case: SourceCase) -> str:
    return case.id


def _write_case(case: SourceCase, place_case: Callable[[SourceCase, Path], None], folder: Path) -> str:
    """Write a case completely or not at all, and return its id."""
    check_files(case)
    try:
        place_case(case, folder)
    except BaseException:
        shutil.rmtree(folder / case.id, ignore_errors=True)
        raise
    return case.id


def usable_cases(cases: Iterable[SourceCase], check: Callable[[SourceCase], None] | None = None) -> UsableCases:
    """The cases whose files are all there, without writing anything.

    Args:
        cases: of a dataset.
        check: raises InputError for a case that cannot be converted.

    Raises:
        InputError: no labelled case is usable.
    """
    training: list[str] = []
    testing: list[str] = []
    problems: list[Problem] = []
    for case in cases:
        try:
            check_files(case)
            if check is not None:
                check(case)
            (testing if case.label is None else training).append(case.id)
        except InputError as error:
            problems.append(Problem(case.id, " ".join(map(str, error.problems))))
    if not training:
        raise InputError(problems)
    return UsableCases(training=frozenset(training), testing=frozenset(testing), problems=tuple(problems))


def check_files(case: SourceCase) -> None:
    """Raise InputError naming every file of a case that does not exist."""
    files = list(case.images)
    if case.label is not None:
        files.append(case.label)
    problems: list[Problem] = []
    for path in files:
        if not path.is_file():
            problems.append(Problem(str(path), "does not exist."))
    if problems:
        raise InputError(problems)


def place_file(source: Path, folder: Path, name: str, *, copy: bool = False) -> Path:
    """Link `source` as `folder/name` with its own suffix, or copy it where links are impossible.

    A header with a separate data file (such as .mhd) is written as a single NIfTI file.

    Args:
        source: an image.
        folder: target folder; created if it does not exist.
        name: name of the new file, without suffix.
        copy: copy the file instead of linking to it.

    Raises:
        InputError: a header with a separate data file cannot be read.
    """
    if image_suffix(source) in _PAIRS:
        return _write_nifti(source, folder, name)
    target = folder / f"{name}{image_suffix(source)}"
    folder.mkdir(parents=True, exist_ok=True)
    if not copy:
        try:
            target.symlink_to(real_path(source))
        except (OSError, NotImplementedError):  # Windows without the right to link, some network drives
            copy = True
    if copy:
        shutil.copyfile(source, target)
    return target


def _write_nifti(source: Path, folder: Path, name: str) -> Path:
    volume = read_volume(source)
    return save_nifti(volume.array, volume.affine, folder / f"{name}.nii.gz")


def save_nifti(array: NDArray[Any], affine: NDArray[np.float64], target: Path) -> Path:
    """Write (X, Y, Z) voxels and their affine (RAS+ millimetres) as a NIfTI file, in the type of the array."""
    import nibabel as nib

    target.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine, dtype=array.dtype)
    image.header.set_xyzt_units("mm")
    nib.save(image, target)
    return target


def split_channels(source: Path, folder: Path, names: Sequence[str]) -> None:
    """Write each channel of a 4D image as a 3D NIfTI file; header and stored values of a NIfTI source are kept."""
    import nibabel as nib

    if image_suffix(source) not in NIFTI.endings:
        volume = read_channels(source)
        for index, name in enumerate(names):
            save_nifti(volume.array[..., index], volume.affine, folder / f"{name}.nii.gz")
        return
    folder.mkdir(parents=True, exist_ok=True)
    image: Any = nib.load(source)
    # unscaled, so that whole numbers stay whole numbers; the scale goes into each header
    stored = image.dataobj.get_unscaled()
    stored = stored.reshape(*stored.shape[:3], -1)  # ITK stores vectors as (X, Y, Z, 1, C)
    for index, name in enumerate(names):
        header = image.header.copy()
        header.set_data_shape(image.shape[:3])
        channel: Any = nib.Nifti1Image(np.asarray(stored[..., index]), image.affine, header)
        channel.header.set_slope_inter(image.dataobj.slope, image.dataobj.inter)
        nib.save(channel, folder / f"{name}.nii.gz")


def identifying_strings(name: str) -> list[str]:
    """List the file names that `place_file` can produce for a channel; no other file has such a name."""
    return [f"{name}{suffix}" for suffix in IMAGE_SUFFIXES if suffix not in _PAIRS]


def description(
    *,
    task: str,
    modality: str,
    channels: Iterable[str],
    label_names: Mapping[int, str],
    has_test: bool,
    final_classes: Mapping[str, Sequence[int]] | None = None,
    ignore_label: int | None = None,
    optional_images: Sequence[str] = (),
    **texts: str,
) -> dict[str, Any]:
    """Return the content of dataset.json for a folder written by this module.

    Args:
        task: name of the task.
        modality: "ct", "mr" or "other".
        channels: channel names in order.
        label_names: label value -> name, with the background and the ignored label.
        has_test: whether there is a test folder.
        final_classes: class to score -> labels. By default every label is a class of its own.
        ignore_label: value of unlabelled voxels.
        optional_images: channels that a case may lack.
        texts: description, licence, reference; empty texts are omitted.
    """
    label_names = dict(sorted(label_names.items()))
    if final_classes is None:
        final_classes = {name: [label] for label, name in label_names.items() if label != 0}
    content: dict[str, Any] = {"task": slug(task) or "dataset", "modality": modality, "train-data": "train"}
    if has_test:
        content["test-data"] = "test"
    content["mask"] = identifying_strings(MASK_NAME)
    content["images"] = {channel: identifying_strings(channel) for channel in channels}
    content["labels"] = list(label_names)
    content["final_classes"] = dict(final_classes)
    content["label_names"] = {str(label): name for label, name in label_names.items()}
    if ignore_label is not None:
        content["ignore_label"] = ignore_label
    if optional_images:
        content["optional_images"] = list(optional_images)
    for key, text in texts.items():
        if text:
            content[key] = text
    return content


def raise_failures(problems: Sequence[Problem], total: int) -> None:
    """Raise CaseFailure if there are problems. Call it after everything that can be written has been written."""
    if problems:
        raise CaseFailure(problems, total)
