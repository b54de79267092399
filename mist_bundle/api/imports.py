"""Functions that turn models trained by other programs into bundles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mist_bundle.api.arguments import checked, takes
from mist_bundle.api.kinds import FileName, Workers
from mist_bundle.api.paths import optional_path
from mist_bundle.api.warn import warn
from mist_bundle.runtime.values import Several, Whole, Word

if TYPE_CHECKING:
    from mist_bundle.pipeline.import_results import ImportedBundle

NNUNET_CHECKPOINTS = ("final", "best")


@checked
def import_nnunet(
    results: FileName,
    output: FileName,
    *,
    checkpoint: Annotated[str, Word(choices=NNUNET_CHECKPOINTS, what="checkpoint")] = "final",
    folds: Annotated[Sequence[int], Several(of=Whole(low=0))] | None = None,
    dataset: FileName | None = None,
    fold_file: FileName | None = None,
    workers: Workers | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> ImportedBundle:
    """Turn the results of an nnU-Net training into a bundle that predicts as nnU-Net does, without nnU-Net.

    Args:
        results: nnU-Net's folder with plans.json, dataset.json and fold_0, fold_1 … (…__nnUNetPlans__3d_fullres).
        output: the bundle's folder, which is created.
        checkpoint: final or best.
        folds: folds to import, such as 0,1,2; by default all.
        dataset: dataset.json of the training data, to evaluate and train on them.
        fold_file: CSV or JSON with the columns id and fold, if the results do not say the folds.
        workers: processes that measure the training data; or tcp://HOST:PORT of a Dask cluster.
        overwrite: replace an existing bundle.
        dry_run: only show what was understood.

    Returns:
        `bundle`, the new folder, and `table`, what was understood.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    from mist_bundle import pipeline

    return _warned(
        pipeline.import_nnunet(
            Path(results),
            Path(output),
            checkpoint=checkpoint,
            folds=folds,
            **_how(dataset, fold_file, workers=workers, overwrite=overwrite, dry_run=dry_run),
        )
    )


@checked
@takes(import_nnunet, besides=("checkpoint",))
def import_mist(results: FileName, output: FileName, **options: Any) -> ImportedBundle:
    """Turn the results of a MIST training into a bundle that predicts as MIST does, without MIST.

    Args:
        results: MIST's folder with config.json and models/fold_0.pt, fold_1.pt …
        output: the bundle's folder, which is created.
        **options: as for `import_nnunet`.

    Returns:
        `bundle`, the new folder, and `table`, what was understood.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    from mist_bundle import pipeline

    folds = options.pop("folds", None)
    how = _how(options.pop("dataset", None), options.pop("fold_file", None), **options)
    return _warned(pipeline.import_mist(Path(results), Path(output), folds=folds, **how))


def _how(dataset: FileName | None, fold_file: FileName | None, **others: Any) -> dict[str, Any]:
    return {
        "dataset": optional_path(dataset),
        "fold_file": optional_path(fold_file),
        **others,
    }


def _warned(imported: ImportedBundle) -> ImportedBundle:
    warn(imported.warnings)
    return imported
