"""docs/training.json: from which data, by which code, with which packages and on which device weights were trained.

Each fold's training leaves a record in the work folder (../handlers/training_record.py). Publishing its weights puts
the record into the bundle, where MANIFEST.json covers it, and a line of it into the model card. Nothing in it names a
machine or a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .files import object_or_none, sha256_of
from .state import TRAINING

RECORD = "docs/training.json"
TRAINING_START = "<!-- training: begin -->"
TRAINING_END = "<!-- training: end -->"
ABOUT = "what the weights of each fold were trained from; files as the sha256 of their content"
NO_RECORD = (
    f"There is no {RECORD}: if this bundle has weights, nothing says which data, code and device made them, since "
    "whatever trained them left no record."
)
# what the card shows; the record has all packages
SHOWN_PACKAGES = ("torch", "monai")
_DIGITS = 12


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a fold's training in the work folder; None where there is none that can be read."""
    return object_or_none(folder / TRAINING)


def recorded_folds(bundle: Path) -> dict[str, Any]:
    """Fold -> record of its training, of docs/training.json; entries that no training wrote are left out."""
    entries = (object_or_none(bundle / RECORD) or {}).get("folds")
    folds = {}
    for fold, entry in entries.items() if isinstance(entries, dict) else ():
        if fold.isdecimal() and _is_record(entry):
            folds[fold] = entry
    return folds


def _is_record(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), str):
        return False
    data, runs = entry.get("data", {}), entry.get("runs", [])
    return isinstance(data, dict) and isinstance(runs, list) and all(isinstance(run, dict) for run in runs)


def renewed_record(
    bundle: Path, fold: int, weights: Path, status: Mapping[str, Any], training: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What docs/training.json says once the weights of a fold are published.

    Args:
        bundle: its folder.
        fold: its number.
        weights: the file that is published.
        status: of the training.
        training: its record; None where an earlier version trained, which left none: the fold is then not described.
    """
    folds = recorded_folds(bundle)
    folds.pop(str(fold), None)
    if training is not None:
        folds[str(fold)] = {
            "sha256": sha256_of(weights),
            "epoch": status.get("best_epoch"),
            "epochs": status.get("epoch"),
            **training,
        }
    return {"about": ABOUT, "folds": dict(sorted(folds.items(), key=lambda entry: int(entry[0])))}


def with_training(card: str, record: Mapping[str, Any]) -> str:
    """A model card with another section of the training; as it is where it has no such section."""
    before, start, rest = card.partition(TRAINING_START)
    _, end, after = rest.partition(TRAINING_END)
    return f"{before}{start}\n{_section(record['folds'])}\n{end}{after}" if start and end else card


def _section(folds: Mapping[str, Any]) -> str:
    if not folds:
        return NO_RECORD
    lines = [
        "| fold | weights (sha256) | epoch | cases | device | packages |",
        "|---|---|---|---|---|---|",
    ]
    for fold, record in folds.items():
        lines.append(f"| {fold} | {' | '.join(_cells(record))} |")
    lines += [
        "",
        f"Cases: training + inner validation. {RECORD} has the sha256 of each of their files, of the scripts and of "
        "the weights, the settings with the seed, and the versions of more packages.",
    ]
    return "\n".join(lines)


def _cells(record: Mapping[str, Any]) -> list[str]:
    data, runs = record.get("data", {}), record.get("runs", [])
    devices, packages = [], []
    for run in runs:
        devices.append(_device(run))
        packages.append(_packages(run))
    return [
        f"`{record['sha256'][:_DIGITS]}`",
        f"{record.get('epoch')} of {record.get('epochs')}",
        f"{len(data.get('training', {}))} + {len(data.get('validation', {}))}",
        ", then ".join(dict.fromkeys(devices)),
        ", then ".join(dict.fromkeys(packages)),
    ]


def _device(run: Mapping[str, Any]) -> str:
    processes = run.get("processes", 1)
    return f"{processes} × {run.get('device')}" if processes > 1 else str(run.get("device"))


def _packages(run: Mapping[str, Any]) -> str:
    versions = run.get("packages", {})
    shown = [f"{name} {versions[name]}" for name in SHOWN_PACKAGES if name in versions]
    return ", ".join([*shown, f"Python {run.get('python')}"])
