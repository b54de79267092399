"""Verbs that create or convert datasets: convert_msd, convert_nnunet, convert_csv, phantom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.cli.words import printed_warnings


@takes(mb.convert_msd)
def convert_msd(**arguments: Any) -> None:
    """Describe a Medical Segmentation Decathlon folder for autoconfig; images are linked, not copied."""
    print(f"Dataset: {mb.convert_msd(**arguments)}")


@takes(mb.convert_nnunet)
def convert_nnunet(dry_run: bool = False, **arguments: Any) -> None:
    """Describe an nnU-Net raw dataset (dataset.json of version 2) for autoconfig; images are linked, not copied.

    Args:
        dry_run: only show the dataset as it was understood.
    """
    from mist_bundle.dataset.nnunet_layout import FOLDS_CSV
    from mist_bundle.dataset.nnunet_source import read_nnunet

    splits = arguments.get("splits")
    dataset = read_nnunet(Path(arguments["source"]), None if splits is None else Path(splits))
    for thing, value in dataset.table():
        print(f"{thing:<16}{value}")
    if dry_run:
        print("Nothing was written (--dry_run).")
        return
    dataset_json = mb.convert_nnunet(**arguments)
    print(f"\nDataset: {dataset_json}")
    command = f"mist-bundle autoconfig {dataset_json}"
    if dataset.folds:
        command += f" --folds {1 + max(dataset.folds.values())} --fold_file {dataset_json.parent / FOLDS_CSV}"
    print(f"Next:    {command}")


@takes(mb.convert_csv)
def convert_csv(**arguments: Any) -> None:
    """Describe a table of cases for autoconfig; images are linked, not copied."""
    with printed_warnings():
        dataset_json = mb.convert_csv(**arguments)
    print(f"Dataset: {dataset_json}")


@takes(mb.phantom)
def phantom(**arguments: Any) -> None:
    """Create a synthetic dataset to try things on."""
    print(f"Dataset: {mb.phantom(**arguments)}")
