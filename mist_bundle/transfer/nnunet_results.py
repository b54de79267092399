"""Reading the results folder of an nnU-Net training: plans.json, dataset.json and fold_*/checkpoint_*.pth.

Everything is checked before anything is written. The formats are those of nnunetv2 2.0 to 2.8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.dataset.nnunet_labels import NnunetLabels
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import DATASET_JSON, as_json, read_json
from mist_bundle.transfer.nnunet_plans import PLANS_JSON, NnunetPlans, Resampling

CHECKPOINTS = {"final": "checkpoint_final.pth", "best": "checkpoint_best.pth"}
ALL_FOLDS = "all"  # name of the fold that is trained on all cases
_FOLD = re.compile(r"fold_(\d+|all)")


@dataclass(frozen=True, kw_only=True, slots=True)
class NnunetResults:
    """A checked results folder. Axes are those of nnU-Net's arrays, after its transposition.

    Attributes:
        folder: the results folder.
        dataset: content of dataset.json.
        labels: meaning of its labels.
        region_labels: label that each region writes, in the order of the outputs; empty if classes exclude each other.
        plans: content of plans.json.
        configuration: name of the configuration, such as "3d_fullres".
        settings: the configuration itself, with all that it inherits.
        architecture: name of the network's class and its arguments.
        axes: for each axis of a file (x, y, z), the axis of nnU-Net's arrays that runs along it.
        orientation: directions that images are turned to, such as "RAS"; None if they stay as they are stored.
        schemes: normalisation of each channel, as runtime/numerics/schemes.py reads it.
        resampling: "data", "seg" and "probabilities".
        trainer: name of the trainer's class.
        mirror_axes: axes that test-time augmentation may flip.
        checkpoints: fold (a number, or "all") -> file.
    """

    folder: Path
    dataset: Mapping[str, Any]
    labels: NnunetLabels
    region_labels: tuple[int, ...]
    plans: Mapping[str, Any]
    configuration: str
    settings: Mapping[str, Any]
    architecture: tuple[str, Mapping[str, Any]]
    axes: tuple[int, int, int]
    orientation: str | None
    schemes: tuple[Mapping[str, Any], ...]
    resampling: Mapping[str, Resampling]
    trainer: str
    mirror_axes: tuple[int, ...]
    checkpoints: Mapping[str, Path]

    def along_file(self, values: Any) -> list[Any]:
        """Return the entries for nnU-Net's three axes in the order of a file's axes (x, y, z)."""
        return [values[axis] for axis in self.axes]


def read_results(
    folder: Path, checkpoint: str = "final", folds: Sequence[int] | None = None
) -> tuple[NnunetResults, dict[str, dict[str, Any]]]:
    """Read and check a results folder (…/nnUNetTrainer__nnUNetPlans__3d_fullres).

    Args:
        folder: holds plans.json, dataset.json and the folders of the folds.
        checkpoint: "final" or "best".
        folds: that are read; by default every fold that there is, and fold_all only where it is the only one.

    Returns:
        What was understood, and the weights of each fold with nnU-Net's names.

    Raises:
        InputError: everything that is wrong.
    """
    from mist_bundle.transfer.checkpoint import load_checkpoint

    problems: list[Problem] = []
    files = _checkpoint_files(folder, CHECKPOINTS[checkpoint], folds, problems)
    plans = _read_object(folder / PLANS_JSON, problems)
    dataset = _read_object(folder / DATASET_JSON, problems)
    loaded: dict[str, dict[str, Any]] = {}
    for fold, path in files.items():
        with Collecting(problems):
            loaded[fold] = _checked_checkpoint(path, load_checkpoint(path))
    if problems:
        raise InputError(problems)
    first = next(iter(loaded.values()))
    facts = NnunetPlans(folder, plans, dataset, str(first["init_args"]["configuration"]), problems)
    fields = facts.read()
    for fold, content in loaded.items():
        facts.check_same_training(fold, content, first)
    if problems:
        raise InputError(problems)
    results = NnunetResults(
        folder=folder,
        dataset=dataset,
        plans=plans,
        configuration=facts.name,
        trainer=str(first.get("trainer_name", "unknown")),
        mirror_axes=tuple(first.get("inference_allowed_mirroring_axes") or ()),
        checkpoints=files,
        **fields,
    )
    weights = {}
    for fold, content in loaded.items():
        weights[fold] = content["network_weights"]
    return results, weights


def _checkpoint_files(folder: Path, name: str, folds: Sequence[int] | None, problems: list[Problem]) -> dict[str, Path]:
    """Fold -> checkpoint, in the order of the folds; folders without it are named."""
    if not folder.is_dir():
        problems.append(Problem(str(folder), "is not a folder. Expected the results of an nnU-Net training."))
        return {}
    chosen = _fold_folders(folder)
    if folds is not None:
        for fold in sorted(set(map(str, folds)) - set(chosen)):
            problems.append(Problem("--folds", f"names fold {fold}; there are {', '.join(chosen) or 'none'}."))
        chosen = {fold: path for fold, path in chosen.items() if fold in map(str, folds)}
    elif not chosen:
        problems.append(Problem(str(folder), _advice_for(folder)))
    files: dict[str, Path] = {}
    for fold, path in chosen.items():
        if (path / name).is_file():
            files[fold] = path / name
            continue
        other = [file for file in CHECKPOINTS.values() if (path / file).is_file()]
        found = f"only {other[0]} is there, for which there is --checkpoint" if other else "its training has not ended"
        problems.append(Problem(str(path), f"holds no {name}: {found}. Or choose others with --folds."))
    return files


def _fold_folders(folder: Path) -> dict[str, Path]:
    """Fold -> its folder; fold_all, which nnU-Net does not combine with others, only where it is alone."""
    found: dict[str, Path] = {}
    for path in folder.glob("fold_*"):
        match = _FOLD.fullmatch(path.name)
        if match and path.is_dir():
            found[match[1]] = path
    numbered = sorted((fold for fold in found if fold != ALL_FOLDS), key=int)
    return {fold: found[fold] for fold in numbered or found}


def _advice_for(folder: Path) -> str:
    """What to pass instead of a folder without folds."""
    below = sorted(path.parent.name for path in folder.glob(f"*/{PLANS_JSON}"))
    message = "holds no fold_0, fold_1 … with the checkpoints of an nnU-Net training."
    return f"{message} Pass one of the folders in it: {', '.join(below)}." if below else message


def _read_object(path: Path, problems: list[Problem]) -> dict[str, Any]:
    with Collecting(problems):
        content = read_json(path)
        if isinstance(content, dict):
            return content
        problems.append(Problem(str(path), f"holds {as_json(content)}; expected an object."))
    return {}


def _checked_checkpoint(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    weights, arguments = content.get("network_weights"), content.get("init_args")
    if not isinstance(weights, Mapping) or not isinstance(arguments, Mapping) or "configuration" not in arguments:
        keys = ", ".join(map(str, content))
        found = f"found {keys or 'nothing'}"
        message = f"is not a checkpoint of nnU-Net v2: expected network_weights and init_args, {found}."
        raise InputError(Problem(str(path), message))
    return content
