"""A label map of a DICOM series as a DICOM segmentation (SEG): a segment for each class, on the slices of the series.

Segments are binary, so classes may overlap (DICOM PS3.3 C.8.20). Nothing is resampled: each frame has the pixels, the
plane and the frame of reference of its source slice and refers to it. highdicom writes the object (`pip install
"mist-bundle[dicom]"`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.dicom import Series, read_dataset, usable_frames
from mist_bundle.dataset.dicom_frames import Frame, affine_of, findings_about
from mist_bundle.dataset.dicom_resampling import even_slices
from mist_bundle.dataset.dicom_writing import uid_from
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.folds.files import sha256_of, write_whole
from mist_bundle.runtime.numerics.same_grid import grid_finding, onto_grid
from mist_bundle.sharing.segment_codes import Concept, SegmentCode

if TYPE_CHECKING:
    import highdicom as hd
    from pydicom import Dataset

MANUFACTURER = "mist-bundle"
_TEXT_LENGTH = 64  # characters of DICOM's long strings
_SERIES_NUMBER_STEP = 1000
_LARGEST_NUMBER = 2**31 - 1  # of an integer string
_REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
# attributes of patient and study that a segmentation repeats, and that must be there but may be empty (type 2)
_MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A class in a segmentation.

    Attributes:
        name: SegmentLabel.
        labels: its values in the label map.
        code: what it is.
        rgb: recommended colour, 0 to 255 each.
    """

    name: str
    labels: tuple[int, ...]
    code: SegmentCode
    rgb: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What computed a label map.

    Attributes:
        name: of the bundle.
        identity: of the bundle, which tells bundles of the same name apart.
        version: of the bundle.
        program_version: of mist-bundle.
    """

    name: str
    identity: str
    version: str
    program_version: str


def require_highdicom() -> None:
    """Check that the packages are there.

    Raises:
        InputError: they are not; says how to install them.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        message = 'DICOM segmentations need packages that are not installed. Run: pip install "mist-bundle[dicom]"'
        raise InputError(Problem("highdicom", message)) from error


def segmentation_uid(series: Series, label_map: Path, segments: Sequence[Segment], algorithm: Algorithm) -> str:
    """SOPInstanceUID of a segmentation: the same for the same label map of the same series, classes and algorithm."""
    return uid_from("instance", series.uid, sha256_of(label_map), repr(segments), repr(algorithm))


def write_dicom_seg(
    series: Series,
    label_map: Path,
    segments: Sequence[Segment],
    algorithm: Algorithm,
    path: Path,
    *,
    resample: bool = False,
) -> list[str]:
    """Write the segmentation of a series.

    Args:
        series: the source images.
        label_map: image file on the voxels of the series, in any storage order.
        segments: classes; those without a voxel are described in the object, too, but have no frame.
        algorithm: what computed the label map.
        path: file to write; replaced if it is there.
        resample: the label map may lie on the even slices that the series was resampled to; each source slice gets
            the nearest labels.

    Returns:
        Remarks: classes without a voxel.

    Raises:
        InputError: the label map does not lie on the series, or the series lacks what a segmentation has to repeat.
    """
    frames = usable_frames(series, resample=resample)
    labels = _on_slices(label_map, frames)
    sources = _sources(series, frames)
    uid = segmentation_uid(series, label_map, segments, algorithm)
    ordered = labels if frames[0].number is None else _in_order_of_file(labels, frames)
    try:
        written = _segmentation(sources, _pixels(ordered, segments), segments, algorithm, uid)
    except (AttributeError, TypeError, ValueError, KeyError) as error:  # of highdicom, about attributes of the source
        message = f"cannot be the source of a segmentation: {error}"
        raise InputError(Problem(f"{series.folder} (series {series.uid})", message)) from error
    write_whole(path, lambda stream: written.save_as(stream, enforce_file_format=True))
    return list(_remarks(labels, segments))


def _on_slices(label_map: Path, frames: Sequence[Frame]) -> NDArray[Any]:
    """The label map as (slices, rows, columns), slices in the order of the frames."""
    volume = read_volume(label_map)
    rows, columns = frames[0].shape
    affine, shape = affine_of(frames), (columns, rows, len(frames))
    grid = even_slices(frames) if findings_about(frames) else None
    if grid is not None:
        affine, shape = grid.affine, grid.shape
    array, turned = onto_grid(volume.array, volume.affine, affine, shape)
    finding = grid_finding(volume.name, turned, array.shape, "the DICOM series", affine, shape)
    if finding:
        raise InputError(Problem(str(label_map), finding))
    if grid is not None:
        slices = [grid.on_slice(array, index, (columns, rows)).T for index in range(len(frames))]
        return np.stack(slices)
    return np.ascontiguousarray(array.transpose(2, 1, 0))


def _sources(series: Series, frames: Sequence[Frame]) -> list[Dataset]:
    """The source files without pixels, in the order of the frames."""
    files = list(dict.fromkeys(frame.path for frame in frames))
    if len(files) > 1 and any(frame.number is not None for frame in frames):
        message = "consists of several multi-frame files, to which a segmentation cannot refer. Give a single file."
        raise InputError(Problem(f"{series.folder} (series {series.uid})", message))
    sources = [read_dataset(path, pixels=False) for path in files]
    missing = [keyword for keyword in _REQUIRED if not all(source.get(keyword) for source in sources)]
    if missing:
        message = f"has no {', '.join(missing)}, which its segmentation has to refer to."
        raise InputError(Problem(f"{series.folder} (series {series.uid})", message))
    for source in sources:
        for keyword in _MAY_BE_EMPTY:
            if keyword not in source:  # programs that remove a patient's name often remove the attribute
                setattr(source, keyword, None)
        if frames[0].number is None and not source.get("SliceThickness"):
            source.SliceThickness = f"{np.linalg.norm(affine_of(frames)[:3, 2]):.10g}"
    return sources


def _in_order_of_file(labels: NDArray[Any], frames: Sequence[Frame]) -> NDArray[Any]:
    """Slices in the order in which a multi-frame file has them."""
    ordered = np.empty_like(labels)
    for place, frame in enumerate(frames):
        ordered[frame.number] = labels[place]
    return ordered


def _pixels(labels: NDArray[Any], segments: Sequence[Segment]) -> NDArray[Any]:
    """Numbers of segments (slices, rows, columns); with a fourth axis of masks where classes overlap."""
    members = [label for segment in segments for label in segment.labels]
    overlap = len(set(members)) < len(members)
    shape = (*labels.shape, len(segments)) if overlap else labels.shape
    pixels = np.zeros(shape, dtype=np.uint8 if overlap or len(segments) < 256 else np.uint16)
    for plane, target in zip(labels, pixels, strict=True):
        present = set(np.unique(plane).tolist())
        for index, segment in enumerate(segments):
            here = present.intersection(segment.labels)
            if not here:
                continue  # most slices hold few of many classes
            inside = np.isin(plane, list(here))
            if overlap:
                target[..., index] = inside
            else:
                target[inside] = index + 1
    return pixels


def _segmentation(
    sources: Sequence[Dataset], pixels: NDArray[Any], segments: Sequence[Segment], algorithm: Algorithm, uid: str
) -> hd.seg.Segmentation:
    import highdicom as hd

    identification = _identification(algorithm)
    descriptions = [
        _description(number, segment, identification, uid) for number, segment in enumerate(segments, start=1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd values of the source, which are repeated as they are
        return hd.seg.Segmentation(
            source_images=sources,
            pixel_array=pixels,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=descriptions,
            series_instance_uid=uid_from("series", uid),
            series_number=_series_number(sources[0]),
            sop_instance_uid=uid,
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=_text(algorithm.name),
            software_versions=_text(algorithm.program_version),
            device_serial_number=_text(algorithm.identity) or "0",
            omit_empty_frames=bool(pixels.any()),  # an object has a frame at least
            content_label="SEGMENTATION",
            content_description=_text(f"Segmentation by {algorithm.name} {algorithm.version}"),
            series_description=_text(f"Segmentation: {algorithm.name}"),
        )


def _series_number(source: Dataset) -> int:
    """A number apart from those of the study's other series."""
    number = int(source.get("SeriesNumber") or 0) + _SERIES_NUMBER_STEP
    return number if 0 < number <= _LARGEST_NUMBER else _SERIES_NUMBER_STEP


def _identification(algorithm: Algorithm) -> hd.AlgorithmIdentificationSequence:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.AlgorithmIdentificationSequence(
        name=_text(algorithm.name),
        family=codes.DCM.ArtificialIntelligence,
        version=_text(algorithm.version),
        source=MANUFACTURER,
        parameters={"bundle_id": algorithm.identity},
    )


def _description(
    number: int, segment: Segment, identification: hd.AlgorithmIdentificationSequence, uid: str
) -> hd.seg.SegmentDescription:
    import highdicom as hd

    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=_text(segment.name),
        segmented_property_category=_coded(segment.code.category),
        segmented_property_type=_coded(segment.code.type),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=identification,
        tracking_uid=uid_from("segment", uid, str(number)),
        tracking_id=_text(segment.name),
        display_color=hd.color.CIELabColor.from_rgb(*segment.rgb),
    )
    if segment.code.modifier is not None:
        # an attribute of the type's own item, for which highdicom has no argument
        kind = description.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [_coded(segment.code.modifier)]
    return description


def _coded(concept: Concept) -> Any:
    import highdicom as hd

    return hd.sr.CodedConcept(value=concept.value, scheme_designator=concept.scheme, meaning=concept.meaning)


def _remarks(labels: NDArray[Any], segments: Sequence[Segment]) -> Iterator[str]:
    present = set(np.unique(labels).tolist())
    for segment in segments:
        if not present & set(segment.labels):
            yield f"has no voxel of {segment.name}; its segment in the DICOM segmentation is empty."


def _text(words: str) -> str:
    r"""Text without the backslash, which separates values in DICOM, and of at most 64 characters."""
    return words.replace("\\", "/")[:_TEXT_LENGTH]
