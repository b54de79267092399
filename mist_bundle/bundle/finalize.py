"""After cross-validation: choose model.pt and add the results to model card and metadata, in a single publication."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.publish import publish_files
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import BUNDLE_README, METADATA_JSON
from mist_bundle.runtime.folds.files import json_text
from mist_bundle.runtime.folds.publication import Content
from mist_bundle.runtime.folds.publish_weights import best_fold, model_files, with_results

Summary = Mapping[str, Mapping[str, float]]


def finalize_bundle(root: Path, summary: Summary, weights: Mapping[int, str]) -> None:
    """Complete a trained bundle for release.

    model.pt becomes the fold with the best score on its own inner validation split, so test folds choose nothing.

    Args:
        root: folder of the bundle, with models/fold_K.pt of every fold.
        summary: column of results.csv -> statistic ("Mean", "Std", …) -> value.
        weights: fold -> hash of the scored weights, for the card.

    Raises:
        InputError: a fold has no weights.
    """
    bundle = Bundle(root)
    paths: dict[int, Path] = {}
    missing = []
    for fold in bundle.folds():
        if fold.published is None:
            missing.append(Problem(str(fold.weights), "does not exist. Train this fold first."))
        else:
            paths[fold.number] = fold.published
    if missing:
        raise InputError(missing)
    best = best_fold(bundle.work_dir, paths)
    card = (root / BUNDLE_README).read_text(encoding="utf-8")
    metadata = bundle.metadata
    metadata["eval_metrics"] = {name: round(values["Mean"], 5) for name, values in summary.items()}
    files: dict[str, Content] = {
        BUNDLE_README: with_results(card, results_text(summary, best, weights)).encode("utf-8"),
        METADATA_JSON: json_text(metadata).encode("utf-8"),
    }
    with tempfile.TemporaryDirectory(prefix="mist_bundle_finalize_") as scratch:
        files |= model_files(bundle.models, paths[best], Path(scratch))
        publish_files(root, files, renew=True)


def results_text(summary: Summary, best: int, weights: Mapping[int, str]) -> str:
    """Return the section of results in the model card."""
    hashes = []
    for fold, digest in sorted(weights.items()):
        hashes.append(f"fold {fold} `{digest[:12]}`")
    lines = [
        f"Out-of-fold predictions of a {len(weights)}-fold cross-validation; no case was scored by a model that had "
        f"seen it. Distances in millimetres. model.pt is fold {best}, chosen by its inner validation split. "
        f"Scored weights, by the first digits of their sha256: {', '.join(hashes)}.",
        "",
        "| class and metric | mean | std | median |",
        "|---|---|---|---|",
    ]
    for name, values in summary.items():
        lines.append(f"| {name} | {values['Mean']:.4f} | {values['Std']:.4f} | {values['Median']:.4f} |")
    return "\n".join(lines)
