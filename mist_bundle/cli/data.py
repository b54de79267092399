"""Verbs that create or convert datasets."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.cli.words import printed_warnings


@takes(mb.convert_msd)
def convert_msd(**arguments: Any) -> None:
    """Describe a Medical Segmentation Decathlon folder for autoconfig; images are linked, not copied."""
    _convert(mb.convert_msd, arguments)


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
    _convert(mb.convert_csv, arguments)


@takes(mb.convert_labels)
def convert_labels(**arguments: Any) -> None:
    """Merge a mask file for each structure (TotalSegmentator's layout) into label maps for autoconfig."""
    _convert(mb.convert_labels, arguments)


@takes(mb.convert_bids)
def convert_bids(**arguments: Any) -> None:
    """Describe a BIDS dataset with label maps in derivatives/ for autoconfig; images are linked, not copied."""
    _convert(mb.convert_bids, arguments)


def _convert(convert: Callable[..., Path], arguments: dict[str, Any]) -> None:
    """Convert, show what was understood, and name the next command."""
    with printed_warnings():
        dataset_json = convert(**arguments, announce=print)
    if not arguments.get("dry_run"):
        print(f"\nDataset: {dataset_json}\nNext:    mist-bundle autoconfig {shlex.quote(str(dataset_json))}")


@takes(mb.convert_dicom)
def convert_dicom(dry_run: bool = False, **arguments: Any) -> None:
    """Convert a tree of DICOM studies: an image for each series, in Hounsfield units for CT, and a table of them.

    Args:
        dry_run: only show the series as they were understood, and why some would be refused.
    """
    from mist_bundle.dataset.dicom import problems_of
    from mist_bundle.dataset.dicom_layout import named_series

    for entry in named_series(Path(arguments["source"])):
        series = entry.series
        print(f"{entry.id:<24} {series.modality:<4} {len(series.frames):>4} slices  {series.description}")
        if dry_run:
            for problem in problems_of(series, resample=bool(arguments.get("resample"))):
                print(f"    refused: {problem.message}")
    if dry_run:
        print("Nothing was written (--dry_run).")
        return
    with printed_warnings():
        table = mb.convert_dicom(**arguments)
    print(f"Images: {table.parent}\nTable:  {table}")


@takes(mb.phantom)
def phantom(**arguments: Any) -> None:
    """Create a synthetic dataset to try things on."""
    written = mb.phantom(**arguments)
    what = "Series" if arguments.get("format") == "dicom" else "Dataset"
    print(f"{what}: {written}")
