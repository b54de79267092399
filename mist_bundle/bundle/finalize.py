"""After cross-validation: choose model.pt, put the results into the model card and metadata, and renew the manifest."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mist_bundle.artifacts import BUNDLE_README, METADATA_JSON, MODEL_PT, read_json, write_json, write_text
from mist_bundle.bundle.card import RESULTS_END, RESULTS_START
from mist_bundle.bundle.manifest import write_manifest
from mist_bundle.bundle.safe_weights import write_safetensors
from mist_bundle.errors import InputError, Problem

Summary = Mapping[str, Mapping[str, float]]


def finalize_bundle(bundle: Path, work_dir: Path, num_folds: int, summary: Summary) -> None:
    """Make a trained bundle ready to be given away.

    model.pt becomes the fold with the best score on its own inner validation split: the test folds choose nothing.

    Args:
        bundle: its folder, with models/fold_K.pt of every fold.
        work_dir: where each fold left its status.json.
        num_folds: how many folds there are.
        summary: column of results.csv -> statistic ("Mean", "Std", …) -> value.

    Raises:
        InputError: a fold has no weights.
    """
    weights = [bundle / "models" / f"fold_{fold}.pt" for fold in range(num_folds)]
    missing = [Problem(str(path), "is not there. Train this fold first.") for path in weights if not path.is_file()]
    if missing:
        raise InputError(missing)
    best = max(range(num_folds), key=lambda fold: _inner_score(work_dir / f"fold_{fold}" / "status.json"))
    _replace(weights[best], bundle / MODEL_PT)
    write_safetensors(bundle / MODEL_PT)
    _write_card(bundle, summary, best, num_folds)
    metadata = read_json(bundle / METADATA_JSON)
    metadata["eval_metrics"] = {name: round(values["Mean"], 5) for name, values in summary.items()}
    write_json(bundle / METADATA_JSON, metadata)
    write_manifest(bundle)


def _inner_score(status: Path) -> float:
    score = read_json(status).get("best_score") if status.is_file() else None
    return float("-inf") if score is None else float(score)


def _replace(source: Path, target: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".model.", delete=False) as stream:
        temporary = Path(stream.name)
    shutil.copyfile(source, temporary)
    temporary.chmod(source.stat().st_mode)
    temporary.replace(target)


def _write_card(bundle: Path, summary: Summary, best: int, num_folds: int) -> None:
    card = (bundle / BUNDLE_README).read_text(encoding="utf-8")
    before, rest = card.split(RESULTS_START)
    after = rest.split(RESULTS_END)[1]
    rows = "\n".join(
        f"| {name} | {values['Mean']:.4f} | {values['Std']:.4f} | {values['Median']:.4f} |"
        for name, values in summary.items()
    )
    text = (
        f"Out-of-fold predictions of a {num_folds}-fold cross-validation; no case was scored by a model that "
        "had seen it. "
        f"Distances in millimetres. model.pt is fold {best}, chosen by its inner validation split.\n\n"
        f"| class and metric | mean | std | median |\n|---|---|---|---|\n{rows}"
    )
    write_text(bundle / BUNDLE_README, f"{before}{RESULTS_START}\n{text}\n{RESULTS_END}{after}")
