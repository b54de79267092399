"""Functions that write datasets: from other layouts, from several datasets, and synthetic ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from mist_bundle.api.arguments import checked, takes
from mist_bundle.api.bundle import Announce
from mist_bundle.api.kinds import (
    CONVERSION,
    MASKS,
    WRITING,
    AnyPath,
    Count,
    CountOrNone,
    FileName,
    Seed,
    Words,
)
from mist_bundle.api.paths import optional_path
from mist_bundle.api.warn import warn
from mist_bundle.runtime.values import Whole, Word

if TYPE_CHECKING:
    from mist_bundle.dataset.conversion import Outcome

PHANTOMS = ("mr2", "ct", "brats", "hippocampus", "metastases")

# Heavy imports stand inside the functions, so that the command line answers --help at once.


@checked
@takes(WRITING)
def convert_msd(
    source: FileName,
    output: FileName,
    *,
    limit: Count | None = None,
    start: CountOrNone = 0,
    announce: Announce | None = None,
    **options: Any,
) -> Path:
    """Describe a Medical Segmentation Decathlon folder for autoconfig; images are linked, not copied.

    Args:
        source: folder with dataset.json, imagesTr and labelsTr.
        output: folder to create.
        limit: take at most this many cases, in sorted order.
        start: skip this many cases first.
        announce: a function that is called with each line of what was understood, such as `print`.
        **options: copy, overwrite and dry_run.

    Returns:
        The new dataset.json.
    """
    from mist_bundle.dataset import msd_layout

    dry_run = options.pop("dry_run", False)
    if dry_run:
        options.pop("copy", None)
        understood = msd_layout.check_msd(Path(source), Path(output), limit=limit, start=start, **options)
        _report(understood, announce, dry_run=True)
        return understood.dataset_json
    return msd_layout.convert_msd(Path(source), Path(output), limit=limit, start=start, **options)


@checked
@takes(WRITING)
def convert_nnunet(
    source: FileName,
    output: FileName,
    *,
    splits: FileName | None = None,
    announce: Announce | None = None,
    **options: Any,
) -> Path:
    """Describe an nnU-Net raw dataset (dataset.json of version 2) for autoconfig; images are linked, not copied.

    Args:
        source: folder with dataset.json, imagesTr and labelsTr.
        output: folder to create.
        splits: splits_final.json, whose folds are kept; the file beside dataset.json by default.
        announce: a function that is called with each line of what was understood, such as `print`.
        **options: copy, overwrite and dry_run.

    Returns:
        The new dataset.json.
    """
    from mist_bundle.dataset import nnunet_layout

    converted = nnunet_layout.convert_nnunet(Path(source), Path(output), splits=optional_path(splits), **options)
    _report(converted, announce, dry_run=options.get("dry_run", False))
    return converted.dataset_json


@checked
@takes(WRITING, besides=["copy"])
def convert_dicom(
    source: FileName,
    output: FileName,
    *,
    resample: bool = False,
    announce: Announce | None = None,
    **options: Any,
) -> Path:
    """Convert a tree of DICOM studies: an image for each series, in Hounsfield units for CT, and a table of them.

    Args:
        source: folder of a series, or of studies.
        output: folder to create.
        resample: make slices even where they are uneven, missing or tilted; these are refused otherwise.
        announce: a function that is called with each line of what was understood, such as `print`.
        **options: overwrite and dry_run.

    Returns:
        The table series.csv.
    """
    from mist_bundle.dataset import dicom_layout

    converted = dicom_layout.convert_dicom(Path(source), Path(output), resample=resample, **options)
    _report(converted, announce, dry_run=options.get("dry_run", False))
    return converted.series_csv


@checked
@takes(MASKS, CONVERSION)
def convert_csv(
    source: FileName,
    output: FileName,
    *,
    test: FileName | None = None,
    labels: Words | None = None,
    optional: Words | None = None,
    announce: Announce | None = None,
    **options: Any,
) -> Path:
    """Describe a table of cases for autoconfig; images are linked, not copied.

    Args:
        source: CSV with the columns id, mask and a column for each image; a 4D image is split into its channels.
        output: folder to create.
        test: the same for unlabelled cases.
        labels: columns with a mask file for each structure, in place of mask; their order is that of the labels.
        optional: columns of images that a case may lack: their cells may be empty.
        announce: a function that is called with each line of what was understood, such as `print`.
        **options: overlaps, missing, channels, modality, copy, overwrite and dry_run.

    Returns:
        The new dataset.json.
    """
    from mist_bundle.dataset import csv_layout
    from mist_bundle.dataset.conversion import ConversionOptions

    chosen = ConversionOptions(**options)
    structures, may_lack = tuple(labels or ()), tuple(optional or ())
    converted = csv_layout.convert_csv(Path(source), Path(output), optional_path(test), structures, chosen, may_lack)
    _report(converted, announce, dry_run=chosen.dry_run)
    return converted.dataset_json


@checked
@takes(MASKS, CONVERSION)
def convert_labels(
    source: FileName,
    output: FileName,
    *,
    labels: Words | None = None,
    images: Words | None = None,
    masks: str = "segmentations",
    announce: Announce | None = None,
    **options: Any,
) -> Path:
    """Merge a mask file for each structure (TotalSegmentator's layout) into label maps for autoconfig.

    Args:
        source: folder of case folders like s0001/ct.nii.gz with s0001/segmentations/liver.nii.gz, spleen.nii.gz ….
        output: folder to create.
        labels: names of the mask files to use; their order is that of the labels. All, sorted, by default.
        images: names of the image files to use, in the order of the channels. By default those that at least half of
            the cases have.
        masks: name of the folder of masks in each case folder.
        announce: a function that is called with each line of what was understood, such as `print`.
        **options: overlaps, missing, channels, modality, copy, overwrite and dry_run.

    Returns:
        The new dataset.json.
    """
    from mist_bundle.dataset import label_folders
    from mist_bundle.dataset.conversion import ConversionOptions

    chosen = ConversionOptions(**options)
    converted = label_folders.convert_labels(
        Path(source),
        Path(output),
        tuple(labels or ()),
        mask_folder=masks,
        images=tuple(images or ()),
        options=chosen,
    )
    _report(converted, announce, dry_run=chosen.dry_run)
    return converted.dataset_json


@checked
@takes(MASKS, CONVERSION)
def convert_bids(
    source: FileName,
    output: FileName,
    *,
    derivatives: str | None = None,
    suffix: str = "dseg",
    labels: Words | None = None,
    entities: Words | None = None,
    images: Words | None = None,
    announce: Announce | None = None,
    **options: Any,
) -> Path:
    """Describe a BIDS dataset with labels in derivatives/ for autoconfig; images are linked, not copied.

    Args:
        source: root of the dataset, with sub-01/anat/sub-01_T1w.nii.gz and the like.
        output: folder to create. Its cases.csv names the patient of each case, so that no patient is in two folds.
        derivatives: folder in derivatives/ that holds the label maps; by default the only one that holds any.
        suffix: suffix of the label maps; mask for files like sub-01_label-liver_mask.nii.gz, a structure each.
        labels: structures that have a mask each, in the order of the labels; all, sorted, by default.
        entities: pairs that the names of the label maps must have, like desc-manual.
        images: channels in their order, like T1w,FLAIR; by default those that at least half of the cases have.
        announce: a function that is called with each line of what was understood, such as `print`.
        **options: overlaps, missing, channels (in place of the names of BIDS), modality, copy, overwrite and dry_run.

    Returns:
        The new dataset.json.
    """
    from mist_bundle.dataset import bids_layout
    from mist_bundle.dataset.conversion import ConversionOptions

    chosen = ConversionOptions(**options)
    converted = bids_layout.convert_bids(
        Path(source),
        Path(output),
        derivatives=derivatives,
        suffix=suffix,
        structures=tuple(labels or ()),
        entities=tuple(entities or ()),
        images=tuple(images or ()),
        options=chosen,
    )
    _report(converted, announce, dry_run=chosen.dry_run)
    return converted.dataset_json


@checked
@takes(WRITING)
def merge_datasets(
    *sources: AnyPath,
    output: FileName,
    names: Words | None = None,
    announce: Announce | None = None,
    **options: Any,
) -> Path:
    """Merge several datasets into one for autoconfig; what a source does not annotate counts as unknown.

    Args:
        *sources: dataset.json of each dataset.
        output: folder to create. Its cases.csv names the source of each case.
        names: names of the sources, in their order; by default their tasks.
        announce: a function that is called with each line of what was understood, such as `print`.
        **options: copy, overwrite and dry_run.

    Returns:
        The new dataset.json.
    """
    from mist_bundle.dataset import merged_datasets

    paths = list(map(Path, sources))
    converted = merged_datasets.merge_datasets(paths, Path(output), names=tuple(names or ()), **options)
    _report(converted, announce, dry_run=options.get("dry_run", False))
    return converted.dataset_json


def _report(outcome: Outcome, announce: Announce | None, *, dry_run: bool) -> None:
    """Announce the table of what was understood, warn, and raise the failure of cases."""
    if announce is not None:
        for thing, value in outcome.table:
            announce(f"{thing:<15} {value}")
        if dry_run:
            announce("Nothing was written (--dry_run).")
    warn(outcome.warnings)
    outcome.raise_failures()


@checked
def phantom(
    output: FileName,
    *,
    kind: Annotated[str, Word(choices=PHANTOMS, what="phantom")] = "mr2",
    cases: Annotated[int, Whole(low=1, high=100_000)] = 12,
    test_cases: Annotated[int, Whole(low=0, high=100_000)] = 3,
    seed: Seed = 0,
    format: Annotated[str, Word(choices=("nifti", "dicom"), what="format")] = "nifti",
    overwrite: bool = False,
) -> Path:
    """Create a synthetic dataset to try things on.

    Args:
        output: folder to create.
        kind: mr2 (two MR channels), ct, brats (nested labels 0, 1, 2, 4), hippocampus (an organ in two parts), or
            metastases (lesions of very different sizes).
        cases: number of cases with labels.
        test_cases: number of cases without labels.
        seed: seed of all random draws.
        format: nifti, a dataset; or dicom, series in studies/ and label maps in labels/.
        overwrite: replace an existing folder.

    Returns:
        The new dataset.json, or the folder studies/.
    """
    from mist_bundle.dataset.phantom import Kind, make_phantom

    return make_phantom(
        Path(output),
        kind=cast("Kind", kind),
        num_cases=cases,
        num_test=test_cases,
        seed=seed,
        mixed_headers=False,  # an example of the format
        dicom=format == "dicom",
        overwrite=overwrite,
    )
