"""Verbs that look at a data set: autoconfig, analyze, and run_all, which goes on to the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mist_bundle.cli.plan_options import plan_options
from mist_bundle.cli.typed import typed
from mist_bundle.cli.words import check_flags, fail_for, warn
from mist_bundle.errors import CaseFailure, InputError

# Heavy imports stand inside the verbs, so that --help answers at once.


def autoconfig(
    dataset_json: str,
    output: str = ".",
    network: str | None = None,
    network_arguments: Any = None,
    patch_divisor: Any = None,
    deep_supervision_heads: int | None = None,
    deep_supervision_weights: Any = None,
    residual: bool | None = None,
    vae: bool | None = None,
    kernel_size: int | None = None,
    loss: str | None = None,
    loss_arguments: Any = None,
    recipe: str = "paper",
    folds: int = 5,
    fold_by: str | None = None,
    fold_file: str | None = None,
    val_fraction: float | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    batch_size: int | None = None,
    patch_size: Any = None,
    max_patch_size: Any = None,
    target_spacing: Any = None,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    schedule: str | None = None,
    warmup_steps: int | None = None,
    weight_decay: float | None = None,
    l1_penalty: float | None = None,
    grad_clip_norm: float | None = None,
    accumulation_steps: int | None = None,
    ema_decay: float | None = None,
    early_stopping: int | None = None,
    precision: str | None = None,
    compile: bool | None = None,
    augmentation: str | None = None,
    composite_weighting: str | None = None,
    class_weights: Any = None,
    ignore_label: int | None = None,
    regions: bool | None = None,
    region_labels: Any = None,
    normalize_distance_maps: bool = True,
    distance_maps_in_mm: bool = False,
    flip_axes: Any = None,
    bias_correction: bool = False,
    skip_preprocessing: bool = False,
    workers: Any = 1,
    seed: int = 42,
    format: str = "json",
    overwrite: bool = False,
) -> None:
    """Look at a data set, decide everything, and write it as a MONAI bundle.

    Args:
        dataset_json: the data set's description (MIST's keys: task, modality, train-data, mask, images, labels …).
        output: folder in which <task>_segmentation/ is made.
        network: name from `mist-bundle networks`, or your own: my_package.my_module.MyNet or path/to/file.py:MyNet.
        network_arguments: JSON object of further arguments of the network, for example '{"width": 16}'.
        patch_divisor: what the patch must be a multiple of, for a network that is not on the menu: 16, or 16,16,8.
        deep_supervision_heads: auxiliary outputs in training, 0 for none.
        deep_supervision_weights: of the output and its auxiliary heads in the loss, 1,0.5,0.25 by default.
        residual: blocks with a shortcut (--residual) or plain ones (--noresidual).
        vae: regularise by a variational autoencoder that redraws the image from the bottleneck (training only).
        kernel_size: of MedNeXt's depthwise convolutions: 3, 5 or 7.
        loss: name from `mist-bundle losses`, or your own as for the network; the recipe's by default.
        loss_arguments: JSON object of further arguments of the loss, for example '{"alpha": 0.7}'.
        recipe: name from `mist-bundle recipes`.
        folds: number of cross-validation folds.
        fold_by: column of the cases' table that is kept together in a fold (leave-one-site-out, say).
        fold_file: CSV or JSON with the columns id and fold.
        val_fraction: part of each training set held back to choose the best weights.
        epochs: of each training.
        steps_per_epoch: optimizer steps of an epoch.
        batch_size: patches of one optimizer step, over all GPUs together.
        patch_size: voxels, for example 64,64,32; changed to what the network takes.
        max_patch_size: the largest patch the rule may choose.
        target_spacing: millimetres, for example 1,1,3.
        optimizer: name from `mist-bundle optimizers`.
        learning_rate: the initial one, after the warm-up.
        schedule: of the learning rate, name from `mist-bundle schedules`.
        warmup_steps: optimizer steps in which the rate rises; cut where it would not fit the run.
        weight_decay: L2 penalty (decoupled with adamw), 0 for none.
        l1_penalty: L1 penalty, 0 for none.
        grad_clip_norm: largest norm of the gradients, 0 for no clipping.
        accumulation_steps: passes in which one GPU computes the patches of a step, where it cannot hold all at once.
        ema_decay: validate and keep an exponential moving average of the weights with this decay, 0 for none.
        early_stopping: stop after so many validations without a better score, 0 for never.
        precision: auto, fp32, bf16 or fp16 (with a gradient scaler, on CUDA).
        compile: torch.compile the network for training.
        augmentation: name from `mist-bundle augmentations`.
        composite_weighting: share of Dice + CE in a composite loss: constant (one half), linear or cosine (from all of
            the loss down to nothing at the last epoch).
        class_weights: auto, or one number for each output of the network, the background first.
        ignore_label: label value of voxels that nobody has labelled: they neither train nor count.
        regions: train the final classes themselves, which may overlap, each with a sigmoid; --noregions trains the
            labels. By default regions, where the final classes overlap and some label is none of them by itself.
        region_labels: the label that each region writes into the label map; by default its own most frequent one.
        normalize_distance_maps: scale distance maps to -1 inside and 1 outside; --nonormalize_distance_maps for
            distances as they are.
        distance_maps_in_mm: measure distances in millimetres instead of voxels.
        flip_axes: axes that may be flipped in training and testing: 1,2 where left and right differ, [] for none.
        bias_correction: N4 bias field correction (MR only).
        skip_preprocessing: the files are preprocessed already; read them as they are.
        workers: processes of the analysis, or tcp://host:port of a Dask scheduler.
        seed: of the folds and of the training.
        format: json, which every consumer reads, or yaml.
        overwrite: replace a bundle that is there already.
    """
    given = locals()  # before anything else gets a name here: all options, as Fire read them
    from mist_bundle import pipeline
    from mist_bundle.planning.table import decisions_text

    made = pipeline.autoconfig(
        Path(str(dataset_json)),
        Path(str(output)),
        plan_options(given),
        fold_by=None if fold_by is None else str(fold_by),
        fold_file=None if fold_file is None else Path(str(fold_file)),
        config_format=format,
        workers=workers,
        overwrite=overwrite,
    )
    warn(made.warnings)
    print(decisions_text(made.plan))
    print(f"\nBundle of {made.plan.num_cases} cases: {made.bundle}")
    print(f"Train it: python -m mist_bundle train {made.bundle} --fold all")
    fail_for(made.excluded, made.plan.num_cases + len(made.excluded), "left out")


def analyze(dataset_json: str, output: str = ".", workers: Any = 1, pictures: int = 6, overwrite: bool = False) -> None:
    """Look at a data set before anyone trains: spacing, intensities, structures, lesions, oddities, as a page.

    Args:
        dataset_json: the data set's description.
        output: folder for data_report.html, data_report.md, data_report.json and fingerprint.json.
        workers: processes, or tcp://host:port of a Dask scheduler.
        pictures: how many cases the page shows, from the smallest to the largest labelled volume.
        overwrite: replace files that are there already.
    """
    from mist_bundle import pipeline

    made = pipeline.analyze_dataset(
        Path(str(dataset_json)), Path(str(output)), workers=workers, pictures=pictures, overwrite=overwrite
    )
    warn(made.warnings)
    for sentence in made.report["observations"]:
        print(f"- {sentence}")
    count = made.report["num_cases"]
    print(f"\nMeasured {count} cases: {made.page}\nThe same as text and numbers: data_report.md, data_report.json")
    fail_for(made.excluded, count + len(made.excluded), "left out")


def run_all(
    dataset_json: str,
    output: str = ".",
    device: str | None = None,
    predict_test: bool = True,
    resume: bool = False,
    processes: int = 1,
    **options: Any,
) -> None:
    """Everything: configure, preprocess, train and evaluate every fold, gather the results, predict the test set.

    Args:
        dataset_json: the data set's description.
        output: folder in which <task>_segmentation/ and its work folder are made.
        device: cpu, cuda or cuda:1.
        predict_test: predict the test set, where there is one.
        resume: go on with the bundle that is there, after what is finished.
        processes: GPUs (or CPU processes) that train together.
        **options: all options of `autoconfig`.
    """
    from mist_bundle import pipeline
    from mist_bundle.bundle.generate import bundle_name
    from mist_bundle.catalog.choice import is_user_code
    from mist_bundle.dataset.spec import DatasetSpec
    from mist_bundle.report.overlay import draw_examples

    check_flags(autoconfig, [f"--{name}" for name in options])
    bundle = Path(str(output)) / bundle_name(DatasetSpec.from_json(Path(str(dataset_json))))
    left_out: CaseFailure | None = None
    if not (resume and bundle.is_dir()):
        try:
            typed(autoconfig)(dataset_json, output, **options)
        except CaseFailure as failure:  # the others go on; the exit code says it at the end
            left_out = failure
    settings = {"device": device}
    folds = list(range(pipeline.num_folds(bundle)))
    # the audit vouches for released code alone; who names code of their own here vouches for that
    trust = any(is_user_code(str(options.get(name) or "")) for name in ("network", "loss"))
    pipeline.preprocess(bundle, {}, trust=trust)
    pipeline.train(bundle, folds, {**settings, "resume": resume or None}, processes, trust=trust)
    pipeline.evaluate_folds(bundle, folds, settings, trust=trust)
    results = pipeline.finalize(bundle)
    predictions = pipeline.work_dir_of(bundle) / "predictions"
    count = pipeline.predict_test_set(bundle, predictions, settings, trust=trust) if predict_test else 0
    picture = draw_examples(bundle, pipeline.work_dir_of(bundle))
    page = _report(bundle)
    print(f"\nBundle:      {bundle}\nResults:     {results}\nPicture:     {picture}\nReport:      {page}")
    print(f"Predictions: {pipeline.work_dir_of(bundle)}/fold_*/predictions (each case by a model that had not seen it)")
    if count:
        print(f"Test set:    {predictions} ({count} cases)")
    if left_out is not None:
        raise left_out


def _report(bundle: Path) -> str:
    """Where the report lies, or why there is none: by now everything else is done, and stays so."""
    from mist_bundle import pipeline

    try:
        return str(pipeline.report(bundle, overwrite=True).page)
    except InputError as error:
        return f"none ({error})"
