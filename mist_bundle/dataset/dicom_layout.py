"""Convert a tree of DICOM studies: an image file for each series, and a table of what each was."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib

from mist_bundle.dataset.dicom import Series, resampling_remarks, series_volume
from mist_bundle.dataset.dicom_search import find_series, is_dicom
from mist_bundle.dataset.names import MAX_ID_BYTES, id_problem
from mist_bundle.errors import CaseFailure, InputError, Problem
from mist_bundle.files import check_can_write

TABLE = "series.csv"
_DIGITS = 8  # of a hash in an id
_LONGEST_ID = MAX_ID_BYTES - 8  # numbers of series in the same folder have room after it
_COLUMNS = ("id", "image", "series_instance_uid", "modality", "description", "folder", "slices")


@dataclass(frozen=True, slots=True)
class NamedSeries:
    """A series and the id that its case gets."""

    id: str
    series: Series

    @property
    def row(self) -> tuple[str, ...]:
        """Its row of the table."""
        series = self.series
        image = f"{self.id}.nii.gz"
        slices = str(len(series.frames))
        return (self.id, image, series.uid, series.modality, series.description, str(series.folder), slices)


def holds_dicom(folder: Path) -> bool:
    """Whether a folder, or a folder in it, holds a DICOM file."""
    return any(is_dicom(path) for path in folder.rglob("*"))


def named_series(source: Path) -> list[NamedSeries]:
    """The series of a tree, each with an id: the path of its folder, numbered where a folder holds several.

    Raises:
        InputError: there is none.
    """
    if not source.is_dir():
        raise InputError(Problem(str(source), "is no folder. Give the folder of a DICOM series, or of studies."))
    taken: set[str] = set()
    named = []
    for series in sorted(find_series(source), key=lambda series: (series.folder, series.uid)):
        parts = series.folder.relative_to(source).parts or (source.resolve().name,)
        base = _id_of(parts)
        identity, number = base, 2
        while identity.casefold() in taken or id_problem(identity):
            identity, number = f"{base}_{number}", number + 1
        taken.add(identity.casefold())  # some file systems do not tell upper from lower case
        named.append(NamedSeries(identity, series))
    return named


def _id_of(parts: Sequence[str]) -> str:
    """Letters, digits, points and underscores of a folder's path; what is too long ends in a hash of the whole."""
    whole = "_".join(parts)
    name = re.sub(r"[^\w.-]+", "_", whole).strip("_.-") or "case"
    if len(name.encode()) <= _LONGEST_ID:
        return name
    digest = hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]
    return f"{name.encode()[: _LONGEST_ID - _DIGITS - 1].decode(errors='ignore')}_{digest}"


def convert_dicom(source: Path, output: Path, *, resample: bool = False) -> tuple[Path, tuple[Problem, ...]]:
    """Write each series of a tree as `<id>.nii.gz`, and the table `series.csv`.

    Args:
        source: folder of a series, or of studies.
        output: a folder that does not exist yet, or is empty.
        resample: make slices even where they are uneven, missing, or shifted sideways.

    Returns:
        The table, and warnings about series that were resampled.

    Raises:
        InputError: there is no series, or `output` is not empty.
        CaseFailure: some series make no regular volume, each named; the others were written.
    """
    if output.is_dir() and any(output.iterdir()):
        raise InputError(Problem("--output", f"{output} is not empty. Give a new folder."))
    named = named_series(source)
    check_can_write(output)
    written, problems = write_series(named, output, resample=resample)
    table = output / TABLE
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        for entry in written:
            writer.writerow(entry.row)
    warnings = []
    for entry in written:
        warnings += [Problem(entry.id, remark) for remark in resampling_remarks(entry.series)]
    if problems:
        raise CaseFailure(problems, len(named), warnings=warnings)
    return table, tuple(warnings)


def write_series(
    named: Sequence[NamedSeries], output: Path, *, resample: bool = False
) -> tuple[list[NamedSeries], list[Problem]]:
    """Write the volumes; returns those that were written, and a problem for each of the others."""
    output.mkdir(parents=True, exist_ok=True)
    written, problems = [], []
    for entry in named:
        try:
            _write_image(entry.series, output / f"{entry.id}.nii.gz", resample=resample)
        except InputError as error:
            problems += [Problem(f"{entry.id}: {problem.path}", problem.message) for problem in error.problems]
            continue
        written.append(entry)
    return written, problems


def single_series(folder: Path, target: Path, *, resample: bool = False) -> Series:
    """Write the volume of the only series in a folder.

    Raises:
        InputError: the folder holds no series or several, or its slices make no regular volume.
    """
    series = find_series(folder)
    if len(series) > 1:
        names = ", ".join(one.description or one.uid for one in series)
        message = f"holds {len(series)} series ({names}). Give the folder of a single series."
        raise InputError(Problem(str(folder), message))
    target.parent.mkdir(parents=True, exist_ok=True)
    _write_image(series[0], target, resample=resample)
    return series[0]


def _write_image(series: Series, target: Path, *, resample: bool) -> None:
    array, affine = series_volume(series, resample=resample)
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, target)
