"""Convert a tree of DICOM studies: an image file for each series, and a table of what each was."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib

from mist_bundle.dataset.conversion import Outcome
from mist_bundle.dataset.dicom import Series, problems_of, remarks_about, series_volume
from mist_bundle.dataset.dicom_search import find_series, is_dicom
from mist_bundle.dataset.names import MAX_ID_BYTES, id_problem, is_text, shown
from mist_bundle.dataset.tables import write_table
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import new_folder, real_path, refuse_existing

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
        raise InputError(Problem(str(source), "is not a folder. Give the folder of a DICOM series, or of studies."))
    taken: set[str] = set()
    named = []
    for series in sorted(find_series(source), key=lambda series: (series.folder, series.uid)):
        if not is_text(str(series.folder)):
            series.problems.append(Problem(str(series.folder), "has a name that is not UTF-8. Rename the folder."))
        parts = series.folder.relative_to(source).parts or (real_path(source).name,)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertedSeries(Outcome):
    """Result of a conversion of DICOM series.

    Attributes:
        series_csv: the table of the images, or where it would lie after a dry run.
    """

    series_csv: Path


def convert_dicom(
    source: Path, output: Path, *, resample: bool = False, overwrite: bool = False, dry_run: bool = False
) -> ConvertedSeries:
    """Write each series of a tree as `<id>.nii.gz`, and the table `series.csv`.

    Args:
        source: folder of a series, or of studies.
        output: folder to create.
        resample: make slices even where they are uneven, missing, or shifted sideways.
        overwrite: replace an existing `output`.
        dry_run: read all headers, say which series would be refused, and write nothing.

    Returns:
        What was understood; series that make no regular volume are among the problems, and the others are written.

    Raises:
        InputError: there is no series, none makes a regular volume, or `output` exists. Nothing is written.
    """
    named = named_series(source)
    if dry_run:
        refuse_existing(output, overwrite=overwrite, mark=TABLE)
        usable, problems = _check_series(named, resample=resample)
    else:
        with new_folder(output, overwrite=overwrite, inputs=[source], mark=TABLE) as folder:
            usable, problems = write_series(named, folder, resample=resample)
            if not usable:
                raise InputError(problems)
            write_table(folder / TABLE, _COLUMNS, [entry.row for entry in usable])
    warnings = []
    for entry in usable:
        warnings += [Problem(entry.id, remark) for remark in remarks_about(entry.series)]
    rows = []
    for entry in named:
        series = entry.series
        rows.append((entry.id, f"{series.modality:<4} {len(series.frames):>4} slices  {shown(series.description)}"))
    return ConvertedSeries(
        series_csv=output / TABLE, table=rows, warnings=warnings, problems=problems, total=len(named)
    )


def _check_series(named: Sequence[NamedSeries], *, resample: bool) -> tuple[list[NamedSeries], list[Problem]]:
    """The series that make a regular volume, by their headers, and a problem for each of the others."""
    usable: list[NamedSeries] = []
    problems: list[Problem] = []
    for entry in named:
        findings = problems_of(entry.series, resample=resample)
        problems += [Problem(entry.id, str(finding)) for finding in findings]
        if not findings:
            usable.append(entry)
    if not usable:
        raise InputError(problems)
    return usable, problems


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
            problems += [Problem(entry.id, str(problem)) for problem in error.problems]
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
