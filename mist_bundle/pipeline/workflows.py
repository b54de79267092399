"""Run the workflows of a bundle on the cases it was made from: preprocess, train, evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.launch import EVALUATING, PREPROCESS, TRAINING, run_workflow
from mist_bundle.errors import InputError, Problem
from mist_bundle.trust.audit import require_audited


def num_folds(bundle: Path) -> int:
    """Folds that the bundle's cases were split into."""
    return Bundle(bundle).datalist.num_folds


def preprocess(bundle: Path, overrides: Mapping[str, Any], *, trust: bool = False) -> None:
    """Fill the cache of prepared arrays. As all that runs a bundle: only what passes the audit, or with `trust`."""
    require_audited(bundle, trust=trust)
    run_workflow(bundle, PREPROCESS, overrides)


def train(
    bundle: Path, folds: Sequence[int], overrides: Mapping[str, Any], processes: int = 1, *, trust: bool = False
) -> None:
    """Train the given folds, one after the other. With resume, folds that are complete are passed over."""
    require_audited(bundle, trust=trust)
    _check_folds(bundle, folds)
    for fold in folds:
        if overrides.get("resume") and _is_complete(bundle, fold, overrides):
            continue
        run_workflow(bundle, TRAINING, {"fold": fold, **overrides}, processes)


def evaluate_folds(
    bundle: Path, folds: Sequence[int], overrides: Mapping[str, Any], processes: int = 1, *, trust: bool = False
) -> None:
    """Predict and score the held-out cases of the given folds."""
    require_audited(bundle, trust=trust)
    _check_folds(bundle, folds)
    for fold in folds:
        run_workflow(bundle, EVALUATING, {"fold": fold, **overrides}, processes)


def _check_folds(bundle: Path, folds: Sequence[int]) -> None:
    count = num_folds(bundle)
    wrong = [fold for fold in folds if not 0 <= fold < count]
    if wrong:
        raise InputError(Problem("--fold", f"is {wrong}; this bundle has the folds 0 to {count - 1}, or 'all'."))


def _is_complete(bundle: Path, fold: int, overrides: Mapping[str, Any]) -> bool:
    status = Bundle(bundle).fold(fold).status
    if status is None:
        return False
    stopped = status.get("stopped_early") and "early_stopping" not in overrides
    return bool(stopped or status["epoch"] >= int(overrides.get("epochs") or status["epochs"]))
