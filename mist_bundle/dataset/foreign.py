"""Data in a layout that a verb does not read: which layout it is, and the command that converts it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.files import DATASET_JSON, read_json, read_text

BIDS_DESCRIPTION = "dataset_description.json"
MASK_FOLDER = "segmentations"
_TABLES = (".csv", ".tsv")
_LONGEST_HEADER = 1 << 16  # characters of a table that are looked at


@contextmanager
def advising(source: Path, verb: str = "") -> Iterator[None]:
    """Put the command that converts `source` before what a verb found wrong with it.

    Args:
        source: file or folder that the user named.
        verb: the verb itself, which is never advised.
    """
    try:
        yield
    except InputError as error:
        advice = conversion_advice(source) or (own_advice(source) if verb else "")
        if not advice or (verb and f" {verb} " in advice):
            raise
        raise InputError([Problem(str(source), advice), *error.problems]) from error


def conversion_advice(source: Path) -> str:
    """Say what layout a file or folder has and which command converts it; "" where it is not known."""
    try:
        return _of_folder(source) if source.is_dir() else _of_file(source)
    except (InputError, OSError):
        return ""  # whoever reads it says what is wrong


def foreign_json_advice(json_path: Path, content: Any) -> str:
    """The command that converts the dataset.json of another program, or "" if it is not such a file."""
    if not isinstance(content, dict) or not isinstance(content.get("labels"), dict):
        return ""
    if "channel_names" in content or "file_ending" in content:
        return _command("in the layout of nnU-Net", "convert_nnunet", json_path.parent)
    if "modality" in content and "training" in content:
        return _command("in the layout of the Medical Segmentation Decathlon", "convert_msd", json_path.parent)
    return ""


def _of_folder(folder: Path) -> str:
    description = folder / DATASET_JSON
    if description.is_file():
        content = read_json(description)
        return foreign_json_advice(description, content)
    if (folder / BIDS_DESCRIPTION).is_file() and any(folder.glob("sub-*")):
        return _command("a BIDS dataset", "convert_bids", folder)
    if any(folder.glob(f"*/{MASK_FOLDER}")):
        return _command("in the layout of TotalSegmentator, a mask file for each structure", "convert_labels", folder)
    return ""


def _of_file(path: Path) -> str:
    if path.name == BIDS_DESCRIPTION:
        return _command("a BIDS dataset", "convert_bids", path.parent)
    if path.suffix.lower() == ".json":
        return foreign_json_advice(path, read_json(path))
    if path.suffix.lower() in _TABLES and path.is_file():
        header = read_text(path)[:_LONGEST_HEADER].split("\n", 1)[0]
        columns = {column.strip() for column in header.replace(";", ",").replace("\t", ",").split(",")}
        if {"id", "mask"} <= columns:
            return _command("a table of images and masks", "convert_csv", path)
    return ""


def own_advice(source: Path) -> str:
    """The command for data that need no conversion; "" if `source` is neither their dataset.json nor its folder."""
    description = source / DATASET_JSON if source.is_dir() else source
    if description.suffix.lower() != ".json" or not description.is_file():
        return ""
    try:
        content = read_json(description)
    except InputError:
        return ""
    if not isinstance(content, dict) or "train-data" not in content:
        return ""
    return f"needs no conversion: mist-bundle autoconfig {shlex.quote(str(description))}"


def _command(layout: str, verb: str, source: Path) -> str:
    output = shlex.quote(f"{source.absolute().name.split('.')[0]}_converted")
    command = f"mist-bundle {verb} --source {shlex.quote(str(source))} --output {output}"
    return f"is {layout}. Convert it first: {command}"
