"""Verbs that start from trained weights: finetune and average_weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mist_bundle.cli.arguments import takes_options
from mist_bundle.cli.kinds import BundleFormat, FileName, Workers
from mist_bundle.cli.words import fail_for, optional_path, span, train_command, warn
from mist_bundle.planning.options import OPTIONS, TRANSFER_OPTIONS, PlanOptions, TransferOptions

# Heavy imports stand inside the verbs, so that --help answers at once.


# of the planner's options, those that mean something where network and training come from another bundle
_PLANNED = (
    *("recipe", "loss", "folds", "val_fraction", "epochs", "steps_per_epoch", "batch_size", "patch_size"),
    *("target_spacing", "learning_rate", "flip_axes", "seed"),
)


@takes_options([*TRANSFER_OPTIONS.values(), *(OPTIONS[name] for name in _PLANNED)])
def finetune(
    source: FileName,
    dataset_json: FileName,
    output: FileName = ".",
    *,
    trust: bool = False,
    fold_by: str | None = None,
    fold_file: FileName | None = None,
    workers: Workers | None = None,
    format: BundleFormat = "json",
    overwrite: bool = False,
    overwrite_weights: bool = False,
    **options: Any,
) -> None:
    """Make a bundle for new data whose training begins from the weights of another bundle.

    Args:
        source: a bundle's folder, a zip file of one, or a Hugging Face repository (hf:org/name, hf:org/name@revision).
        dataset_json: the new data's description, as for autoconfig.
        output: folder in which <task>_segmentation/ is made; the source is never changed.
        trust: go on with a source that does not pass the audit.
        fold_by: column of the cases' table that is kept together in a fold.
        fold_file: CSV or JSON with the columns id and fold.
        workers: processes, by default as many as are worth their start; or tcp://HOST:PORT of a Dask cluster.
        format: json, which every consumer reads, or yaml.
        overwrite: replace a bundle that is there already.
        overwrite_weights: with --overwrite: lose what was trained of that bundle, too.
        **options: how weights are carried over, and options of the planner.
        recipe: name from `mist-bundle recipes`; the source's by default.
        patch_size: voxels, in place of the source's.
        target_spacing: millimetres, in place of the source's.
        seed: of the folds, of new weights and of the training.
    """
    from mist_bundle import pipeline
    from mist_bundle.planning.table import decisions_text, text_table

    transfer = {name: options.pop(name) for name in TRANSFER_OPTIONS if name in options}
    made = pipeline.finetune(
        source,
        Path(dataset_json),
        Path(output),
        PlanOptions(**options),
        TransferOptions(**transfer),
        asked=frozenset(options),
        trust=trust,
        fold_by=fold_by,
        fold_file=optional_path(fold_file),
        config_format=format,
        workers=workers,
        overwrite=overwrite,
        overwrite_weights=overwrite_weights,
    )
    configured = made.configured
    warn(configured.warnings)
    print(decisions_text(configured.plan))
    print(f"\nWeights from {source}:\n\n{text_table(made.rows)}")
    print(f"\nBundle of {configured.plan.num_cases} cases ({span(configured.case_ids)}): {configured.bundle}")
    print(f"Each tensor: {configured.bundle / 'configs/transfer.json'}")
    print(f"Train it: {train_command(configured.bundle, configured.plan)}")
    fail_for(configured.excluded, configured.plan.num_cases + len(configured.excluded), "left out")


def average_weights(*sources: str, output: FileName, overwrite: bool = False) -> None:
    """Average weights into one model: the folds of a bundle, or files of the same network.

    Args:
        *sources: a bundle's folder (its models/fold_*.pt), or two files or more (.pt, .safetensors).
        output: file to write, .pt or .safetensors.
        overwrite: replace a file that is there already.
    """
    from mist_bundle import pipeline

    files = pipeline.average_weights([Path(source) for source in sources], Path(output), overwrite=overwrite)
    print(f"Mean of {len(files)} files: {output}")
