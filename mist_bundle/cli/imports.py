"""Verbs that turn models trained by other programs into bundles."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.cli.words import printed_warnings

if TYPE_CHECKING:
    from mist_bundle.pipeline.import_results import ImportedBundle


@takes(mb.import_nnunet)
def import_nnunet(**arguments: Any) -> None:
    """Turn the results of an nnU-Net training into a bundle that predicts as nnU-Net does, without nnU-Net."""
    with printed_warnings():
        imported = mb.import_nnunet(**arguments)
    _print(imported)


@takes(mb.import_mist)
def import_mist(**arguments: Any) -> None:
    """Turn the results of a MIST training into a bundle that predicts as MIST does, without MIST."""
    with printed_warnings():
        imported = mb.import_mist(**arguments)
    _print(imported)


def _print(imported: ImportedBundle) -> None:
    for thing, value in imported.table:
        print(f"{thing:<12}{value}")
    if imported.bundle is None:
        print("Nothing was written (--dry_run).")
        return
    print(f"\nBundle: {imported.bundle}")
    print(f"Next:   mist-bundle predict {shlex.quote(str(imported.bundle))} --input CASES --output PREDICTIONS")
