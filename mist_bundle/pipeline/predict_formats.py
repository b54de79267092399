"""Predicted label maps in the format and at the place that a user wants.

Bundles write `<id>.nii.gz`. Other formats are written from these, which stay in a sub-folder, so that running again
predicts only missing cases.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.sides import named_classes, right_of_left, side_pairs
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import check_can_write, real_path, refuse_existing, write_bytes
from mist_bundle.planning.plan import Plan
from mist_bundle.runtime.predictions.records import volume_path
from mist_bundle.runtime.reading.formats import image_suffix

NIFTI, NRRD, META_IMAGE, SAME, DICOM_SEG = "nii.gz", "nrrd", "mha", "same", "dicom_seg"
OUTPUT_FORMATS = (NIFTI, NRRD, META_IMAGE, SAME, DICOM_SEG)
NIFTI_FOLDER = "nifti"
# suffix of an input -> suffix of a label map in the same format; pairs of header and data become a single file
_SAME_AS = {
    ".nii.gz": ".nii.gz",
    ".nii": ".nii",
    ".nrrd": ".nrrd",
    ".nhdr": ".nrrd",
    ".mha": ".mha",
    ".mhd": ".mha",
    ".hdr": ".nii.gz",
}
_SINGLE_FILES = tuple(dict.fromkeys(_SAME_AS.values()))
# of files that nobody means as the name of a folder
_OTHER_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".img", ".mgz", ".mnc", ".stl", ".vtk")
_OTHER_DATA = (".npy", ".npz", ".h5", ".gz", ".zip", ".tar", ".json", ".csv", ".txt")
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_ORTHOGONAL = 1e-3  # largest deviation of the axes from right angles that NRRD and MetaImage files may hide


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputPlace:
    """Where label maps go.

    Attributes:
        output: folder, or the file of a single case.
        folder: where the bundle writes `<id>.nii.gz`.
        output_format: of OUTPUT_FORMATS.
        is_file: `output` is the file of a single case.
    """

    output: Path
    folder: Path
    output_format: str
    is_file: bool = False

    @classmethod
    def of(cls, output: Path, output_format: str, scratch: Path, *, overwrite: bool) -> OutputPlace:
        """Understand --output and --output_format.

        Raises:
            InputError: they contradict each other, or a file is in the way.
        """
        suffix = image_suffix(output)
        if not suffix and output.suffix.lower() in (*_OTHER_PICTURES, *_OTHER_DATA):
            suffix = output.suffix.lower()
        if not suffix or output.is_dir():
            in_place = output_format in (NIFTI, DICOM_SEG)
            return cls(output=output, folder=output if in_place else output / NIFTI_FOLDER, output_format=output_format)
        if suffix not in _SINGLE_FILES:
            message = (
                f"is {output}, but a label map is written as {', '.join(_SINGLE_FILES)}. Choose one, or name a folder."
            )
            raise InputError(Problem("--output", message))
        if output_format == DICOM_SEG or (output_format in (NRRD, META_IMAGE) and suffix != f".{output_format}"):
            message = f"is {output_format}, but --output {output} ends in {suffix}. Leave it out, or name a folder."
            raise InputError(Problem("--output_format", message))
        refuse_existing(output, overwrite=overwrite)
        check_can_write(output.parent)
        return cls(output=output, folder=scratch / "label_map", output_format=output_format, is_file=True)

    def refuse_maps(self, **requested: bool) -> None:
        """Refuse further maps, by the names of their options, where the output is a single file.

        Raises:
            InputError: some are requested.
        """
        problems = []
        for name, is_requested in requested.items():
            if is_requested and self.is_file:
                message = f"needs a folder for its maps, but --output is the file {self.output}. Name a folder."
                problems.append(Problem(f"--{name}", message))
        if problems:
            raise InputError(problems)

    def check(self, cases: Sequence[Case], *, overwrite: bool) -> None:
        """Check, before anything is computed, that the label maps of these cases can be put where they belong.

        Raises:
            InputError: several cases for a single file, an image would be replaced, or a file of another origin.
        """
        problems = []
        if self.is_file and len(cases) > 1:
            message = f"is the file {self.output}, but the input has {len(cases)} cases. Name a folder."
            problems.append(Problem("--output", message))
        targets = self.targets(cases)
        for case in cases:
            target = real_path(targets[case.id])
            if target in [real_path(path) for path in case.images.values()]:
                problems.append(Problem("--output", f"is {self.output}, which would replace an image. Choose another."))
            ours = volume_path(self.folder, case.id).exists()
            if not self.is_file and self.folder != self.output and target.exists() and not ours and not overwrite:
                message = "exists already and was not written by this command. Choose another folder, or --overwrite."
                problems.append(Problem(str(target), message))
        if problems:
            raise InputError(problems)

    def targets(self, cases: Sequence[Case]) -> dict[str, Path]:
        """Case id -> the label map that the user wants."""
        targets = {}
        for case in cases:
            suffix = f".{self.output_format}" if self.output_format in (NRRD, META_IMAGE) else ".nii.gz"
            if self.output_format == SAME:
                suffix = _SAME_AS[image_suffix(next(iter(case.images.values())))]
            targets[case.id] = self.output if self.is_file else self.output / f"{case.id}{suffix}"
        return targets

    def place(self, cases: Sequence[Case], failed: Mapping[str, str]) -> tuple[list[Path], list[Problem]]:
        """Write the label maps of the cases that did not fail; a Problem for each that cannot be written."""
        written: list[Path] = []
        problems: list[Problem] = []
        for case_id, target in self.targets(cases).items():
            source = volume_path(self.folder, case_id)
            if case_id in failed:
                continue
            if source != target:
                try:
                    write_label_map(read_volume(source), target)
                except InputError as error:
                    problems += [Problem(case_id, str(problem)) for problem in error.problems]
                    continue
            written.append(target)
        return written, problems


def write_label_map(volume: Volume, target: Path) -> None:
    """Write a label map in the format that the name of `target` says; it appears complete or not at all.

    Raises:
        InputError: its axes are not at right angles, which NRRD and MetaImage files cannot say.
    """
    suffix = image_suffix(target)
    with tempfile.TemporaryDirectory(prefix="mist_bundle_") as scratch:
        temporary = Path(scratch) / f"label{suffix}"
        if suffix in (".nii", ".nii.gz"):
            if volume.path.name.endswith(suffix):
                write_bytes(target, volume.path.read_bytes())  # with its header
                return
            nib.save(nib.load(volume.path), temporary)
        else:
            _write_itk(volume, temporary, target.name)
        write_bytes(target, temporary.read_bytes())


def _write_itk(volume: Volume, path: Path, name: str) -> None:
    import SimpleITK as sitk

    affine = _LPS @ volume.affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    direction = affine[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > _ORTHOGONAL:
        message = "the axes of its image are not at right angles, which only NIfTI can say. Use --output_format nii.gz."
        raise InputError(Problem(name, message))
    image: Any = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.T))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection(direction.ravel().tolist())
    sitk.WriteImage(image, str(path), useCompression=True)


def contrary_sides(plan: Plan, folder: Path, names: Sequence[str]) -> list[Problem]:
    """A warning for each label map in which a left class lies to the patient's right of its right counterpart."""
    label_names = dict(zip(plan.labels, plan.label_names, strict=True))
    pairs = side_pairs(named_classes(label_names, plan.final_classes))
    warnings = []
    for name in names if pairs else ():
        path = volume_path(folder, name)
        if path.is_file():
            label = read_volume(path)
            distances = right_of_left(label.array, label.affine, pairs)
            for pair in pairs:
                finding = pair.finding(distances.get(pair.structure, 0.0), path.name)
                warnings += [Problem(name, finding)] if finding else []
    return warnings
