"""DICOM segmentations of predicted series: `<id>.dcm` beside the label map that it repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mist_bundle
from mist_bundle.bundle.folder import Bundle
from mist_bundle.dataset.dicom import Series, read_dataset
from mist_bundle.dataset.dicom_search import is_dicom
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.plan import Plan
from mist_bundle.report.colours import label_names_of, structure_colours, structure_rgb
from mist_bundle.runtime.predictions.records import volume_path
from mist_bundle.sharing.dicom_seg import (
    MANUFACTURER,
    Algorithm,
    Segment,
    require_highdicom,
    segmentation_uid,
    write_dicom_seg,
)
from mist_bundle.sharing.segment_codes import code_of_name, read_codes

_SEGMENTATION = "SEG"  # of the attribute Modality


def segmentation_path(folder: Path, case: str) -> Path:
    """Where the DICOM segmentation of a case lies, beside its label map."""
    return folder / f"{case}.dcm"


@dataclass(frozen=True, slots=True)
class SegmentationWriter:
    """Writes the segmentations of a bundle.

    Attributes:
        segments: its classes.
        algorithm: the bundle.
        warnings: classes without a code.
        resample: label maps may lie on the even slices that series were resampled to.
    """

    segments: tuple[Segment, ...]
    algorithm: Algorithm
    warnings: tuple[Problem, ...]
    resample: bool = False

    @classmethod
    def of_bundle(
        cls, bundle: Bundle, codes: Mapping[str, Any] | None, *, resample: bool = False
    ) -> SegmentationWriter:
        """Writer of a bundle.

        Args:
            bundle: what predicts.
            codes: of classes, as the user gives them; see `read_codes`.
            resample: series may be resampled to even slices.

        Raises:
            InputError: packages are missing, or the codes are wrong.
        """
        require_highdicom()
        segments = _segments(bundle.plan, codes or {})
        warnings = []
        for segment in segments:
            if not segment.code.known:
                message = 'has no code in the table and is written as "Tissue"; give its code with --segment_codes.'
                warnings.append(Problem(segment.name, message))
        metadata = bundle.metadata
        algorithm = Algorithm(
            name=str(metadata.get("name", bundle.root.name)),
            identity=bundle.identity,
            version=str(metadata.get("version", "")),
            program_version=mist_bundle.__version__,
        )
        return cls(segments, algorithm, tuple(warnings), resample)

    def refuse_foreign(self, output: Path, names: Sequence[str]) -> None:
        """Refuse to replace files that this program did not write.

        Raises:
            InputError: names all of them.
        """
        problems = []
        for name in names:
            target = segmentation_path(output, name)
            if (target.exists() or target.is_symlink()) and not _is_own(target):
                message = "exists already and was not written by this command."
                problems.append(Problem(str(target), f"{message} Choose another folder, or pass --overwrite."))
        if problems:
            raise InputError(problems)

    def write(self, name: str, series: Series, output: Path, *, overwrite: bool) -> list[Problem]:
        """Write the segmentation of a case that was predicted; an existing segmentation is kept.

        Returns:
            Remarks about the case.

        Raises:
            InputError: the segmentation cannot be written, or another is in the way.
        """
        label_map, target = volume_path(output, name), segmentation_path(output, name)
        if target.exists() and not overwrite:
            uid = segmentation_uid(series, label_map, self.segments, self.algorithm)
            if str(read_dataset(target, pixels=False).get("SOPInstanceUID", "")) == uid:
                return []
            message = "belongs to another label map or to other codes. Choose another folder, or pass --overwrite."
            raise InputError(Problem(str(target), message))
        remarks = write_dicom_seg(series, label_map, self.segments, self.algorithm, target, resample=self.resample)
        return [Problem(name, remark) for remark in remarks]


def _segments(plan: Plan, user_codes: Mapping[str, Any]) -> tuple[Segment, ...]:
    """The final classes, which may overlap, and labels that are in none of them."""
    classes = dict(plan.final_classes)
    in_classes = {label for labels in classes.values() for label in labels}
    label_names = label_names_of(plan)
    for label in plan.labels:
        if label != 0 and label not in in_classes:
            classes[label_names[label]] = (label,)
    codes = read_codes(user_codes, list(classes))
    colours = structure_colours(plan.labels, label_names, plan.final_classes)
    segments = []
    for name, labels in classes.items():
        code = codes.get(name) or code_of_name(name)
        segments.append(Segment(name, tuple(labels), code, structure_rgb(colours[name])))
    return tuple(segments)


def _is_own(path: Path) -> bool:
    if not is_dicom(path):
        return False
    dataset = read_dataset(path, pixels=False)
    return bool(dataset.get("Modality") == _SEGMENTATION and dataset.get("Manufacturer") == MANUFACTURER)
