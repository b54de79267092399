"""Functions from a described dataset to a bundle: measure it, configure a bundle, and train it to the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mist_bundle.api.arguments import checked, takes
from mist_bundle.api.bundle import Announce, Bundle
from mist_bundle.api.kinds import (
    FOLDING,
    AnyPath,
    BundleFormat,
    CountOrNone,
    Device,
    FileName,
    Processes,
    Seed,
    Workers,
)
from mist_bundle.api.paths import optional_path
from mist_bundle.api.warn import CaseLeftOut, warn
from mist_bundle.planning.options import OPTIONS, TRANSFER_OPTIONS, PlanOptions, TransferOptions

if TYPE_CHECKING:
    from mist_bundle.pipeline.analyze import Analyzed
    from mist_bundle.pipeline.configure import Configured
    from mist_bundle.pipeline.fold_choice import FoldRules
    from mist_bundle.pipeline.run_all import Finished

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
    """Measure a dataset, decide everything, and write the decisions as a MONAI bundle.

    Args:
        dataset_json: the dataset's description (MIST's keys: task, modality, train-data, mask, images, labels …).
        output: folder in which <task>_segmentation/ is created.
        fingerprint: fingerprint.json of all sites, from merge_fingerprints, to plan by instead of the cases here.
        workers: number of processes, chosen automatically by default; or tcp://HOST:PORT of a Dask cluster.
        format: json, which every consumer reads, or yaml.
        overwrite: replace an existing bundle.
        overwrite_weights: with --overwrite: discard the training of that bundle, too.
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
        fingerprint_file=optional_path(fingerprint),
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
        "recipe": "a name from `mist-bundle recipes`; by default that of the source.",
        "patch_size": "patch size in voxels, instead of that of the source.",
        "target_spacing": "voxel spacing in millimetres, instead of that of the source.",
        "seed": "seed of the folds, of new weights and of the training.",
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
        workers: number of processes, chosen automatically by default; or tcp://HOST:PORT of a Dask cluster.
        pictures: how many cases the page shows, from the smallest to the largest labelled volume.
        folds: number of folds, as for autoconfig; the page shows what each would hold.
        seed: seed of the folds.
        overwrite: replace existing files.
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
        resume: continue with the existing bundle, after its finished steps.
        processes: GPUs (or CPU processes) that train together; every visible GPU by default.
        parallel: folds that are trained side by side; as many processes share the cases in the evaluation.
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
def merge_fingerprints(*sources: AnyPath, output: FileName = "fingerprint.json", overwrite: bool = False) -> int:
    """Merge the fingerprint.json of several sites, so that all can plan the same training without sharing images.

    Args:
        *sources: fingerprint.json of each site, as analyze and autoconfig write it.
        output: file to write.
        overwrite: replace an existing file.

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
