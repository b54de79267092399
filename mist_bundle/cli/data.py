"""Verbs that create or convert datasets."""

from __future__ import annotations

import functools
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
def convert_nnunet(**arguments: Any) -> None:
    """Describe an nnU-Net raw dataset (dataset.json of version 2) for autoconfig; images are linked, not copied."""
    _convert(mb.convert_nnunet, arguments)


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
    """Describe a BIDS dataset with labels in derivatives/ for autoconfig; images are linked, not copied."""
    _convert(mb.convert_bids, arguments)


@takes(mb.merge_datasets)
def merge_datasets(*sources: str, **arguments: Any) -> None:
    """Merge several datasets into one for autoconfig; what a source does not annotate counts as unknown.

    Args:
        *sources: dataset.json of each dataset.
    """
    _convert(functools.partial(mb.merge_datasets, *sources), arguments)


def _convert(convert: Callable[..., Path], arguments: dict[str, Any]) -> None:
    """Convert, show what was understood, and name the next command."""
    from mist_bundle.dataset.nnunet_layout import fold_options

    with printed_warnings():
        dataset_json = convert(**arguments, announce=print)
    if not arguments.get("dry_run"):
        command = f"mist-bundle autoconfig {shlex.quote(str(dataset_json))}{fold_options(dataset_json)}"
        print(f"\nDataset: {dataset_json}\nNext:    {command}")


@takes(mb.convert_dicom)
def convert_dicom(**arguments: Any) -> None:
    """Convert a tree of DICOM studies: an image for each series, in Hounsfield units for CT, and a table of them."""
    with printed_warnings():
        table = mb.convert_dicom(**arguments, announce=print)
    if not arguments.get("dry_run"):
        print(f"Images: {table.parent}\nTable:  {table}")


@takes(mb.phantom)
def phantom(**arguments: Any) -> None:
    """Create a synthetic dataset to try things on."""
    written = mb.phantom(**arguments)
    what = "Series" if arguments.get("format") == "dicom" else "Dataset"
    print(f"{what}: {written}")
