"""Verbs that start from trained weights: finetune and average_weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mist_bundle.cli.plan_options import plan_options
from mist_bundle.cli.words import fail_for, warn

# Heavy imports stand inside the verbs, so that --help answers at once.


def finetune(
    source: str,
    dataset_json: str,
    output: str = ".",
    replan: bool = False,
    channels: str | None = None,
    freeze: str = "none",
    unfreeze_epoch: int | None = None,
    layer_decay: float = 1.0,
    trust: bool = False,
    loss: str | None = None,
    recipe: str | None = None,
    folds: int = 5,
    fold_by: str | None = None,
    fold_file: str | None = None,
    val_fraction: float | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    batch_size: int | None = None,
    patch_size: Any = None,
    target_spacing: Any = None,
    learning_rate: float | None = None,
    flip_axes: Any = None,
    workers: Any = 1,
    seed: int = 42,
    format: str = "json",
    overwrite: bool = False,
) -> None:
    """Make a bundle for new data whose training begins from the weights of another bundle.

    Args:
        source: a bundle's folder, a zip file of one, or a Hugging Face repository (hf:org/name, hf:org/name@revision).
        dataset_json: the new data's description, as for autoconfig.
        output: folder in which <task>_segmentation/ is made; the source is never changed.
        replan: plan spacing and patch for the new data; by default the source's are kept.
        channels: what an image channel without a namesake in the source begins from: average, first or skip.
        freeze: none, or encoder to keep the source's encoder as it is.
        unfreeze_epoch: the first epoch in which the frozen encoder is trained too.
        layer_decay: each stage, seen from the output, learns at this factor of the next one's rate (0.8, say).
        trust: go on with a source that does not pass the audit.
        loss: name from `mist-bundle losses`; the recipe's by default.
        recipe: name from `mist-bundle recipes`; the source's by default.
        folds: number of cross-validation folds.
        fold_by: column of the cases' table that is kept together in a fold.
        fold_file: CSV or JSON with the columns id and fold.
        val_fraction: part of each training set held back to choose the best weights.
        epochs: of each training.
        steps_per_epoch: optimizer steps of an epoch.
        batch_size: patches of one optimizer step, over all GPUs together.
        patch_size: voxels, in place of the source's.
        target_spacing: millimetres, in place of the source's.
        learning_rate: the initial one.
        flip_axes: axes that may be flipped in training and testing.
        workers: processes of the analysis, or tcp://host:port of a Dask scheduler.
        seed: of the folds, of new weights and of the training.
        format: json, which every consumer reads, or yaml.
        overwrite: replace a bundle that is there already.
    """
    given = locals()  # before anything else gets a name here: all options, as Fire read them
    from mist_bundle import pipeline
    from mist_bundle.planning.finetune import TransferOptions
    from mist_bundle.planning.table import decisions_text, text_table

    transfer = TransferOptions(
        replan=replan, channels=channels, freeze=freeze, unfreeze_epoch=unfreeze_epoch, layer_decay=layer_decay
    )
    made = pipeline.finetune(
        str(source),
        Path(str(dataset_json)),
        Path(str(output)),
        plan_options(given),
        transfer,
        asked=frozenset(name for name in ("recipe", "patch_size", "target_spacing") if given[name] is not None),
        trust=trust,
        fold_by=None if fold_by is None else str(fold_by),
        fold_file=None if fold_file is None else Path(str(fold_file)),
        config_format=format,
        workers=workers,
        overwrite=overwrite,
    )
    configured = made.configured
    warn(configured.warnings)
    print(decisions_text(configured.plan))
    print(f"\nWeights from {source}:\n\n{text_table(made.rows)}")
    print(f"\nBundle of {configured.plan.num_cases} cases: {configured.bundle}")
    print(f"Each tensor: {configured.bundle / 'configs/transfer.json'}")
    print(f"Train it: python -m mist_bundle train {configured.bundle} --fold all")
    fail_for(configured.excluded, configured.plan.num_cases + len(configured.excluded), "left out")


def average_weights(*sources: str, output: str, overwrite: bool = False) -> None:
    """Average weights into one model: the folds of a bundle, or files of the same network.

    Args:
        *sources: a bundle's folder (its models/fold_*.pt), or two files or more (.pt, .safetensors).
        output: file to write, .pt or .safetensors.
        overwrite: replace a file that is there already.
    """
    from mist_bundle import pipeline

    files = pipeline.average_weights([Path(str(source)) for source in sources], Path(str(output)), overwrite=overwrite)
    print(f"Mean of {len(files)} files: {output}")
