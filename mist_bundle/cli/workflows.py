"""Verbs that run a bundle: preprocess, train, publish, finalize, predict."""

from __future__ import annotations

from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.api.kinds import FileName, Folds
from mist_bundle.cli.scores import printed_scores
from mist_bundle.cli.words import heading, nearby, next_command, printed_warnings
from mist_bundle.runtime.wording import counted


@takes(mb.Bundle.preprocess)
def preprocess(bundle: FileName, **arguments: Any) -> None:
    """Prepare all training arrays ahead of time; training would do it on first use.

    Args:
        bundle: the bundle's folder.
    """
    arrays = mb.Bundle(bundle).preprocess(**arguments)
    print(f"Prepared arrays: {nearby(arrays)}")


@takes(mb.Bundle.train)
def train(bundle: FileName, fold: Folds = (0,), **arguments: Any) -> None:
    """Train a bundle. The best weights of a fold are published, into models/, when its training ends.

    Args:
        bundle: the bundle's folder.
        fold: a fold, several (0,1), or all.
    """
    opened = mb.Bundle(bundle)
    with printed_warnings():
        opened.train(fold, announce=heading, **arguments)
    print(f"Best weights: {nearby(opened.models)}\nLogs and last checkpoints: {nearby(opened.work_dir)}")
    print(f"Evaluate it: {next_command(opened, 'evaluate', like=arguments)}")


@takes(mb.Bundle.publish)
def publish(bundle: FileName, **arguments: Any) -> None:
    """Put the best weights of a training into the bundle, even if it was interrupted or is still running.

    A training does so by itself when it ends. Weights, their safetensors copy, card and manifest change together or not
    at all.

    Args:
        bundle: the bundle's folder.
    """
    for fold, names in mb.Bundle(bundle).publish(**arguments).items():
        print(f"Fold {fold}: {', '.join(names) or 'its best weights had been published'}")


def finalize(bundle: FileName) -> None:
    """Gather the folds of a trained and evaluated bundle: results.csv, model card, model.pt, manifest.

    Args:
        bundle: the bundle's folder.
    """
    opened = mb.Bundle(bundle)
    with printed_scores(opened.scores_by_case):
        results = opened.finalize()
    print(f"\nResults of all folds: {nearby(results)}\nWeights to predict with: {nearby(opened.models)}")


@takes(mb.Bundle.predict, besides=("source",))
def predict(bundle: FileName, input: FileName, output: FileName, **arguments: Any) -> None:
    """Write a label map for each case, on its own grid.

    Cases that fail are named, and the others are predicted. The same command again predicts only the missing cases.

    Args:
        bundle: a trained bundle.
        input: an image (single-channel models), a folder of cases, or CSV or JSON with an id and each channel by name.
        output: folder for <id>.nii.gz, or a file like out.nii.gz or out.nrrd for a single case.
    """
    with printed_warnings():
        written = mb.Bundle(bundle).predict(input, output, **arguments)
    what = "DICOM segmentation" if arguments.get("output_format") == "dicom_seg" else "label map"
    print(f"{counted(len(written), what)}: {output}")
