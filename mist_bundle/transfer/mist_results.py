"""Reading the results folder of a MIST training: config.json and models/fold_*.pt of mist-medical 2.3.

Everything is checked before anything is written.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import read_json
from mist_bundle.transfer.foreign import Understanding

PROGRAM = "MIST 2"
CONFIG_JSON = "config.json"
TRAIN_PATHS_CSV = "train_paths.csv"
# architectures of MIST 2.3: rows of the catalogue of the same names
ARCHITECTURES = (
    *("nnunet", "nnunet-pocket", "fmgnet", "wnet"),
    *("mednext-small", "mednext-base", "mednext-medium", "mednext-large"),
    *("swinunetr-small", "swinunetr-base", "swinunetr-large"),
)
_SECTIONS = ("dataset_info", "spatial_config", "preprocessing", "model", "inference")
_FOLD = re.compile(r"fold_(\d+)\.pt")
_WINDOW = {"low": "window_min", "high": "window_max", "mean": "z_score_mean", "std": "z_score_std"}


@dataclass(frozen=True, kw_only=True, slots=True)
class MistResults:
    """A checked results folder of MIST.

    Attributes:
        folder: the results folder.
        config: content of config.json.
        window: of CT: low, high, mean and std; None for other modalities.
        checkpoints: fold -> file.
    """

    folder: Path
    config: Mapping[str, Any]
    window: Mapping[str, float] | None
    checkpoints: Mapping[str, Path]

    @property
    def architecture(self) -> str:
        """Name of the network, in MIST and in the catalogue."""
        return str(self.config["model"]["architecture"])

    @property
    def labels(self) -> tuple[int, ...]:
        """Label values in the order of the outputs."""
        return tuple(map(int, self.config["dataset_info"]["labels"]))

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in order."""
        return tuple(map(str, self.config["dataset_info"]["images"]))

    def held_out(self) -> dict[str, int]:
        """Return case id -> fold that held it out, by train_paths.csv; empty without it."""
        path = self.folder / TRAIN_PATHS_CSV
        if not path.is_file():
            return {}
        folds: dict[str, int] = {}
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                if row.get("id") and str(row.get("fold", "")).isdigit():
                    folds[row["id"]] = int(row["fold"])
        return folds


def read_results(folder: Path, folds: Sequence[int] | None = None) -> tuple[MistResults, dict[str, Mapping[str, Any]]]:
    """Read and check a results folder of MIST.

    Args:
        folder: holds config.json and models/.
        folds: that are read; by default all.

    Returns:
        What was understood, and the weights of each fold with MIST's names.

    Raises:
        InputError: everything that is wrong.
    """
    from mist_bundle.transfer.checkpoint import load_checkpoint

    problems: list[Problem] = []
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "is not a folder. Expected the results of a MIST training."))
    config: Any = {}
    with Collecting(problems):
        config = read_json(folder / CONFIG_JSON)
    files = _weight_files(folder, folds, problems)
    weights: dict[str, Mapping[str, Any]] = {}
    for fold, path in files.items():
        with Collecting(problems):
            weights[fold] = load_checkpoint(path)
    window = None
    with Understanding(str(folder / CONFIG_JSON), PROGRAM, problems):
        window = None if problems else _check(folder / CONFIG_JSON, config, problems)
    if problems:
        raise InputError(problems)
    return MistResults(folder=folder, config=config, window=window, checkpoints=files), weights


def _weight_files(folder: Path, folds: Sequence[int] | None, problems: list[Problem]) -> dict[str, Path]:
    found: dict[int, Path] = {}
    for path in (folder / "models").glob("fold_*.pt"):
        match = _FOLD.fullmatch(path.name)
        if match:
            found[int(match[1])] = path
    if not found:
        problems.append(Problem(str(folder / "models"), "holds no fold_0.pt, fold_1.pt … of a MIST training."))
        return {}
    for fold in sorted(set(folds or ()) - set(found)):
        problems.append(Problem("--folds", f"names fold {fold}; there are {', '.join(map(str, sorted(found)))}."))
    return {str(fold): found[fold] for fold in sorted(found) if folds is None or fold in folds}


def _check(place: Path, config: Any, problems: list[Problem]) -> Mapping[str, float] | None:
    """Add what is wrong with config.json; returns the window of CT."""
    missing = [
        name for name in _SECTIONS if not isinstance(config, Mapping) or not isinstance(config.get(name), Mapping)
    ]
    if missing:
        message = f"lacks the sections {', '.join(missing)}; expected a config.json of mist-medical 2.x."
        problems.append(Problem(str(place), message))
        return None
    checked = _Config(place, config, problems)
    checked.check_model()
    checked.check_data()
    checked.check_inference()
    return checked.window()


class _Config:
    """Checks of the values in config.json; what is wrong is added to `problems`."""

    def __init__(self, place: Path, config: Mapping[str, Any], problems: list[Problem]) -> None:
        self.place = place
        self.config = config
        self.problems = problems

    def _problem(self, key: str, message: str) -> None:
        self.problems.append(Problem(f"{self.place}: {key}", message))

    def check_model(self) -> None:
        """The network and its patch."""
        architecture = self.config["model"].get("architecture")
        if architecture not in ARCHITECTURES or architecture not in NETWORKS:
            self._problem("model.architecture", f"is {architecture!r}; expected one of {', '.join(ARCHITECTURES)}.")
        for key in ("patch_size", "target_spacing"):
            value = self.config["spatial_config"].get(key)
            if not isinstance(value, list) or len(value) != 3 or not all(_is_positive(part) for part in value):
                self._problem(f"spatial_config.{key}", f"is {value!r}; expected three numbers above 0.")

    def check_data(self) -> None:
        """Channels, labels and modality."""
        data = self.config["dataset_info"]
        labels = data.get("labels")
        if not isinstance(labels, list) or not labels or not all(isinstance(label, int) for label in labels):
            self._problem("dataset_info.labels", f"is {labels!r}; expected a list of whole numbers.")
        elif labels != sorted(set(labels)) or labels[0] != 0:
            self._problem("dataset_info.labels", f"is {labels}; expected 0 and larger values, each once and in order.")
        if not isinstance(data.get("images"), (list, Mapping)) or not data["images"]:
            self._problem("dataset_info.images", f"is {data.get('images')!r}; expected the names of the channels.")
        if str(data.get("modality")).lower() not in ("ct", "mr", "other"):
            self._problem("dataset_info.modality", f"is {data.get('modality')!r}; expected ct, mr or other.")

    def check_inference(self) -> None:
        """Sliding window, test-time augmentation and the mean of folds."""
        inference = self.config["inference"]
        inferer, augmentation = inference.get("inferer") or {}, inference.get("tta") or {}
        blending = (inferer.get("params") or {}).get("patch_blend_mode", "gaussian")
        for key, value, expected in (
            ("inferer.name", inferer.get("name", "sliding_window"), ("sliding_window",)),
            ("inferer.params.patch_blend_mode", blending, ("gaussian",)),
            ("ensemble.strategy", (inference.get("ensemble") or {}).get("strategy", "mean"), ("mean",)),
            ("tta.strategy", augmentation.get("strategy", "all_flips"), ("all_flips", "none")),
        ):
            if value not in expected:
                self._problem(f"inference.{key}", f"is {value!r}; only {' and '.join(expected)} can be imported.")

    def window(self) -> dict[str, float] | None:
        """Window and statistics of CT; None for other modalities."""
        if str(self.config["dataset_info"].get("modality")).lower() != "ct":
            return None
        stored = self.config["preprocessing"].get("ct_normalization") or {}
        window = {}
        for name, written in _WINDOW.items():
            if not isinstance(stored.get(written), (int, float)):
                self._problem(f"preprocessing.ct_normalization.{written}", "is missing, which CT needs.")
            else:
                window[name] = float(stored[written])
        return window


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
