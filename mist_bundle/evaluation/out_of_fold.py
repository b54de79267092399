"""The predictions of a cross-validation: each case by the model of the fold that had held it out."""

from __future__ import annotations

from pathlib import Path

from mist_bundle.errors import InputError, Problem
from mist_bundle.evaluation.choose_postprocessing import HeldOut
from mist_bundle.evaluation.pairs import Pair
from mist_bundle.files import DATALIST_JSON, read_json


def held_out_cases(bundle: Path, work_dir: Path, dataset_dir: Path) -> list[HeldOut]:
    """All training cases of a bundle with their out-of-fold predictions.

    Args:
        bundle: its folder.
        work_dir: the folder beside it, with fold_K/predictions.
        dataset_dir: folder of the cases.

    Raises:
        InputError: naming every case that has no prediction or no reference.
    """
    cases, problems = [], []
    for entry in read_json(bundle / DATALIST_JSON)["training"]:
        prediction = work_dir / f"fold_{entry['fold']}" / "predictions" / f"{entry['id']}.nii.gz"
        reference = dataset_dir / entry["label"]
        if not prediction.is_file():
            problems.append(
                Problem(entry["id"], f"has no prediction at {prediction}. Train and evaluate its fold first.")
            )
        if not reference.is_file():
            problems.append(
                Problem(entry["id"], f"has no reference at {reference}. Name the folder with --dataset_dir.")
            )
        pair = Pair(id=entry["id"], reference=reference, prediction=prediction)
        cases.append(HeldOut(fold=int(entry["fold"]), pair=pair))
    if problems:
        raise InputError(problems)
    return cases
