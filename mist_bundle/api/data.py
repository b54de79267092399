"""Functions from data to a bundle: describe a dataset, look at it, configure a bundle, and train it to the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from mist_bundle.api.arguments import checked, takes
from mist_bundle.api.bundle import Announce, Bundle
from mist_bundle.api.kinds import (
    CONVERSION,
    FOLDING,
    MASKS,
    WRITING,
    AnyPath,
    BundleFormat,
    Count,
    CountOrNone,
    Device,
    FileName,
    Processes,
    Seed,
    Words,
    Workers,
)
from mist_bundle.api.warn import CaseLeftOut, warn
from mist_bundle.planning.options import OPTIONS, TRANSFER_OPTIONS, PlanOptions, TransferOptions
from mist_bundle.runtime.values import Whole, Word

if TYPE_CHECKING:
    from mist_bundle.dataset.conversion import Outcome
    from mist_bundle.pipeline.analyze import Analyzed
    from mist_bundle.pipeline.configure import Configured
    from mist_bundle.pipeline.fold_choice import FoldRules
    from mist_bundle.pipeline.run_all import Finished

PHANTOMS = ("mr2", "ct", "brats", "hippocampus", "metastases")
# of the planner's options, those that have a meaning when network and training come from another bundle
_FINETUNING = frozenset(
    {
        *("recipe", "loss", "folds", "val_fraction", "epochs", "steps_per_epoch", "batch_size", "patch_size"),
        *("target_spacing", "learning_rate", "flip_axes", "seed"),
    }
)

# Heavy imports stand inside the functions, so that the command line answers --help at once.


@checked
@takes(FOLDING, OPTIONS)
def configure(
    dataset_json: FileName,
    output: FileName = ".",
    *,
    fingerprint: FileName | None = None,
    workers: Workers | None = None,
    format: BundleFormat = "json",
    overwrite: bool = False,
    overwrite_weights: bool = False,
    **options: Any,
) -> Bundle:
    """Look at a dataset, decide everything, and write the decisions as a MONAI bundle.

    Args:
        dataset_json: the dataset's description (MIST's keys: task, modality, train-data, mask, images, labels …).
        output: folder in which <task>_segmentation/ is created.
        fingerprint: fingerprint.json of all sites, from merge_fingerprints, to plan by in place of the cases here.
        workers: processes, by default as many as are worth their start; or tcp://HOST:PORT of a Dask cluster.
        format: json, which every consumer reads, or yaml.
        overwrite: replace a bundle that is there already.
        overwrite_weights: with --overwrite: lose the training of that bundle, too.
        **options: of the planner: recipe, network, loss, epochs, patch_size …, and of the folds: stratify, leave_out …
            (`mist-bundle help autoconfig`).

    Returns:
        The bundle; `bundle.plan` holds every decision with its reason. Cases that are left out are warned of.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    from mist_bundle import pipeline

    rules = _fold_rules(options)
    configured = pipeline.autoconfig(
        Path(dataset_json),
        Path(output),
        PlanOptions(**options),
        fold_rules=rules,
        fingerprint_file=None if fingerprint is None else Path(fingerprint),
        config_format=format,
        workers=workers,
        overwrite=overwrite,
        overwrite_weights=overwrite_weights,
    )
    return _opened(configured)


@checked
@takes(
    TRANSFER_OPTIONS,
    configure,
    besides={*OPTIONS, "fingerprint"} - _FINETUNING,
    about={
        "recipe": "name from `mist-bundle recipes`; the source's by default.",
        "patch_size": "voxels, in place of the source's.",
        "target_spacing": "millimetres, in place of the source's.",
        "seed": "of the folds, of new weights and of the training.",
    },
)
def finetune(
    source: FileName, dataset_json: FileName, output: FileName = ".", *, trust: bool = False, **options: Any
) -> Bundle:
    """Configure a bundle for new data whose training begins from the weights of another bundle.

    Args:
        source: a bundle's folder, a zip file of it, or a Hugging Face repository (hf:org/name, hf:org/name@revision).
        dataset_json: the new data's description, as for autoconfig.
        output: folder in which <task>_segmentation/ is created; the source is never changed.
        trust: use a source that does not pass the audit.
        **options: how weights are carried over, and options as for `configure`.

    Returns:
        The new bundle; its configs/transfer.json accounts for every tensor.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    from mist_bundle import pipeline

    planned = {name: options.pop(name) for name in OPTIONS if name in options}
    transfer = {name: options.pop(name) for name in TRANSFER_OPTIONS if name in options}
    configured = pipeline.finetune(
        str(source),
        Path(dataset_json),
        Path(output),
        PlanOptions(**planned),
        TransferOptions(**transfer),
        chosen=frozenset(planned),
        trust=trust,
        fold_rules=_fold_rules(options),
        config_format=options.pop("format", "json"),
        **options,
    )
    return _opened(configured)


@checked
@takes(FOLDING)
def analyze(
    dataset_json: FileName,
    output: FileName = ".",
    *,
    workers: Workers | None = None,
    pictures: CountOrNone = 6,
    folds: Annotated[int, OPTIONS["folds"].kind] = 5,
    seed: Seed = 42,
    overwrite: bool = False,
    **options: Any,
) -> Analyzed:
    """Look at a dataset before training: spacing, intensities, structures, lesions and oddities, as a page.

    Args:
        dataset_json: the dataset's description.
        output: folder for data_report.html, data_report.md, data_report.json and fingerprint.json.
        workers: processes, by default as many as are worth their start; or tcp://HOST:PORT of a Dask cluster.
        pictures: how many cases the page shows, from the smallest to the largest labelled volume.
        folds: number of folds, as for autoconfig; the page shows what each would hold.
        seed: of the folds.
        overwrite: replace files that are there already.
        **options: how cases are assigned to folds, as for autoconfig.
    """
    from mist_bundle import pipeline
    from mist_bundle.pipeline.fold_choice import FoldRequest

    analyzed = pipeline.analyze_dataset(
        Path(dataset_json),
        Path(output),
        workers=workers,
        pictures=pictures,
        folds=FoldRequest(count=folds, seed=seed, rules=_fold_rules(options)),
        overwrite=overwrite,
    )
    warn(analyzed.warnings)
    warn(analyzed.excluded, CaseLeftOut)
    return analyzed


@checked
@takes(configure)
def run_all(
    dataset_json: FileName,
    output: FileName = ".",
    *,
    device: Device | None = None,
    predict_test: bool = True,
    resume: bool = False,
    processes: Processes | None = None,
    parallel: Processes = 1,
    announce: Announce | None = None,
    on_configured: Callable[[Bundle], None] | None = None,
    **options: Any,
) -> Finished:
    """Everything: configure, preprocess, train and evaluate every fold, gather the results, predict the test set.

    Args:
        dataset_json: the dataset's description.
        output: folder in which <task>_segmentation/ and its work folder are created.
        device: cpu, cuda or cuda:1.
        predict_test: predict the test set, if the dataset has one.
        resume: continue with the bundle that is there, after its finished steps.
        processes: GPUs (or CPU processes) that train together; every visible GPU by default.
        parallel: folds that are trained side by side; so many processes share the cases in the evaluation, too.
        announce: a function that is called with a heading before each fold, such as `print`.
        on_configured: a function that is called with the new bundle before its training begins.
        **options: as for `configure`.
    """
    from mist_bundle import pipeline
    from mist_bundle.bundle.generate import bundle_name
    from mist_bundle.catalog.choice import is_user_code
    from mist_bundle.dataset.spec import DatasetSpec

    bundle = Path(output) / bundle_name(DatasetSpec.from_json(Path(dataset_json)))
    planned = {name: value for name, value in options.items() if name in OPTIONS}
    if resume and bundle.is_dir():
        pipeline.refuse_other_options(bundle, PlanOptions(**planned), planned)
    else:
        configured = configure(dataset_json, output, **options)
        if on_configured is not None:
            on_configured(configured)
    # the audit vouches for released code only; users who name code of their own vouch for it themselves
    trust = any(is_user_code(str(planned.get(name) or "")) for name in ("network", "loss"))
    return pipeline.train_to_the_end(
        bundle,
        device=device,
        predict_test=predict_test,
        resume=resume,
        hardware=pipeline.Hardware(processes=processes),
        parallel=parallel,
        trust=trust,
        announce=announce or pipeline.silent,
    )


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
        limit: take only so many cases, in sorted order.
        start: skip so many cases first.
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

    folds = None if splits is None else Path(splits)
    converted = nnunet_layout.convert_nnunet(Path(source), Path(output), splits=folds, **options)
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
    test_csv = None if test is None else Path(test)
    structures, may_lack = tuple(labels or ()), tuple(optional or ())
    converted = csv_layout.convert_csv(Path(source), Path(output), test_csv, structures, chosen, may_lack)
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
        images: names of the image files to use, in the order of the channels. All, sorted, by default.
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
        suffix: of the label maps; mask for files like sub-01_label-liver_mask.nii.gz, a structure each.
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
    """Merge several data sets into one for autoconfig: labels by name, and what a source does not annotate is unknown.

    Args:
        *sources: dataset.json of each data set.
        output: folder to create. Its cases.csv names the source of each case.
        names: of the sources, in their order; by default their tasks.
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
        seed: of all random draws.
        format: nifti, a dataset; or dicom, series in studies/ and label maps in labels/.
        overwrite: replace a folder that is there already.

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


@checked
def average_weights(*sources: AnyPath, output: FileName, overwrite: bool = False) -> tuple[Path, ...]:
    """Average weights into a single model: the folds of a bundle, or files of the same network.

    Args:
        *sources: a bundle's folder (its models/fold_*.pt), or two files or more (.pt, .safetensors).
        output: file to write, .pt or .safetensors.
        overwrite: replace a file that is there already.

    Returns:
        The files that were averaged.
    """
    from mist_bundle import pipeline

    return pipeline.average_weights(list(map(Path, sources)), Path(output), overwrite=overwrite)


@checked
def merge_fingerprints(*sources: AnyPath, output: FileName = "fingerprint.json", overwrite: bool = False) -> int:
    """Merge the fingerprint.json of several sites, so that all can plan the same training without sharing images.

    Args:
        *sources: fingerprint.json of each site, as analyze and autoconfig write it.
        output: file to write.
        overwrite: replace a file that is there already.

    Returns:
        The number of cases.
    """
    from mist_bundle import pipeline

    merged = pipeline.merge_fingerprints(list(map(Path, sources)), Path(output), overwrite=overwrite)
    return len(merged.cases)


def _fold_rules(options: dict[str, Any]) -> FoldRules:
    """The rules of the folds, taken out of the options of a function."""
    from mist_bundle.pipeline.fold_choice import FoldRules

    chosen = {name: options.pop(name) for name in FOLDING if options.get(name) is not None}
    if "fold_file" in chosen:
        chosen["fold_file"] = Path(chosen["fold_file"])
    return FoldRules(**chosen)


def _opened(configured: Configured) -> Bundle:
    warn(configured.warnings)
    warn(configured.excluded, CaseLeftOut)
    return Bundle(configured.bundle)
