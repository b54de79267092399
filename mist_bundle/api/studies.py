"""Functions that train several times: with other seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mist_bundle.api.arguments import checked
from mist_bundle.api.bundle import Announce
from mist_bundle.api.kinds import ALL, Device, FileName, Folds, chosen_folds
from mist_bundle.api.paths import absolute_text
from mist_bundle.runtime.values import Whole

if TYPE_CHECKING:
    from mist_bundle.pipeline.study import Study


@checked
def study(
    bundle: FileName,
    output: FileName,
    *,
    seeds: Annotated[int, Whole(low=1, high=1000)] = 3,
    fold: Folds = ALL,
    device: Device | None = None,
    dataset_dir: FileName | None = None,
    trust: bool = False,
    announce: Announce | None = None,
) -> Study:
    """Repeat a training with other seeds, for mean and spread of its results; run it again to continue.

    Args:
        bundle: folder of a bundle, trained or not; it stays as it is.
        output: folder of the study: a bundle for each seed, results.csv (means over the seeds) and study.json.
        seeds: how many trainings: the bundle's own seed and the numbers after it.
        fold: a fold, several, or all; the folds are those of the bundle for every seed.
        device: cpu, cuda or cuda:1.
        dataset_dir: folder of the cases, if they have moved since the bundle was configured.
        trust: run a bundle that does not pass `audit`.
        announce: a function that is called with a heading before each seed, such as `print`.
    """
    from mist_bundle import pipeline
    from mist_bundle.pipeline.study import run_study

    settings = {"device": device}
    if dataset_dir is not None:
        settings["dataset_dir"] = absolute_text(dataset_dir)
    return run_study(
        Path(bundle),
        Path(output),
        num_seeds=seeds,
        folds=chosen_folds(fold),
        settings=settings,
        trust=trust,
        announce=announce or pipeline.silent,
    )
