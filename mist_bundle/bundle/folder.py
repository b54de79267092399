"""A bundle's folder and the work folder beside it: the only module that knows where their files are and reads them.

Files are read when they are needed, so a damaged file affects only what needs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.files import (
    DATALIST_JSON,
    METADATA_JSON,
    MODEL_PT,
    PLAN_JSON,
    RESULTS_CSV,
    RESULTS_JSON,
    as_json,
    read_json,
    work_dir_of,
)
from mist_bundle.runtime.folds.locks import is_held
from mist_bundle.runtime.folds.manifest import stored_as_model
from mist_bundle.runtime.folds.state import HISTORY, LOCK, STATUS, has_state
from mist_bundle.runtime.settings import CONFIG_SUFFIXES

if TYPE_CHECKING:
    from mist_bundle.planning.plan import Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedCase:
    """A case of datalist.json; paths are relative to the folder of the cases.

    Attributes:
        id: case id.
        images: a file for each channel, in the plan's order; that of another channel for those that are missing.
        label: reference segmentation; None if there is none, as in most test sets.
        fold: fold that holds the case out; None in the test set.
        unlabelled: labels that were not annotated in the reference.
        missing: optional channels that the case lacks.
    """

    id: str
    images: tuple[str, ...]
    label: str | None = None
    fold: int | None = None
    unlabelled: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Datalist:
    """The cases of a bundle: labelled cases, which its folds divide, and test cases; and what each fold holds."""

    training: tuple[ListedCase, ...]
    testing: tuple[ListedCase, ...]
    fold_table: Mapping[str, Any] | None = None

    @property
    def num_folds(self) -> int:
        """Number of folds that the training cases are divided into."""
        folds = {case.fold for case in self.training if case.fold is not None}
        return 1 + max(folds, default=-1)

    def held_out(self, fold: int) -> list[ListedCase]:
        """Return the training cases that no training of `fold` sees."""
        return [case for case in self.training if case.fold == fold]


class Fold:
    """A fold of a bundle: results of its training and evaluation in the work folder, and its published weights.

    Args:
        number: number of the fold.
        folder: its folder in the work folder.
        weights: location of its weights in the bundle once they are published.
    """

    def __init__(self, number: int, folder: Path, weights: Path) -> None:
        self.number = number
        self.folder = folder
        self.weights = weights

    @property
    def published(self) -> Path | None:
        """File of its weights in the bundle: its own, or model.pt if that has the same content; None if missing."""
        if self.weights.is_file():
            return self.weights
        root = self.weights.parent.parent
        return root / MODEL_PT if f"models/{self.weights.name}" in stored_as_model(root) else None

    @property
    def status_file(self) -> Path:
        """Status of the training: epochs, best score, initial settings."""
        return self.folder / STATUS

    @property
    def status(self) -> dict[str, Any] | None:
        """Content of the status file; None before the end of the first epoch.

        Raises:
            InputError: the file is damaged.
        """
        if not self.status_file.is_file():
            return None
        content = read_json(self.status_file)
        if not isinstance(content, dict):
            raise InputError(Problem(str(self.status_file), "must hold an object. Train this fold again."))
        return content

    @property
    def history(self) -> list[Mapping[str, Any]]:
        """Records of the epochs; empty before the end of the first epoch.

        Raises:
            InputError: the file is damaged; names the line.
        """
        path = self.folder / HISTORY
        if not path.is_file():
            return []
        records = []
        for index, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise InputError(Problem(f"{path}, line {index}", f"is not valid JSON: {error.msg}.")) from error
        return records

    @property
    def has_state(self) -> bool:
        """Whether a training can be resumed."""
        return has_state(self.folder)

    def is_being_trained(self) -> bool:
        """Return whether a process is training this fold."""
        return is_held(self.folder / LOCK)

    @property
    def scored(self) -> dict[str, Any] | None:
        """Provenance of its results: hash of the weights and settings of the scoring; None if unknown.

        Raises:
            InputError: results.json is damaged.
        """
        path = self.results.with_name(RESULTS_JSON)
        if not path.is_file():
            return None
        provenance = _object(path, read_json(path)).get("derived_from")
        return None if provenance is None else _object(path, provenance)

    @property
    def results(self) -> Path:
        """File with the scores of the held-out cases."""
        return self.folder / RESULTS_CSV

    @property
    def predictions(self) -> Path:
        """Folder with the predicted label maps of the held-out cases."""
        return self.folder / "predictions"

    def prediction(self, case: str) -> Path:
        """Return the path of the predicted label map of a held-out case."""
        return self.predictions / f"{case}.nii.gz"


class Bundle:
    """A bundle of mist-bundle, or any other bundle in MONAI's layout.

    Its work folder holds prepared arrays, training states, predictions and reports.

    Args:
        root: folder of the bundle.
        work_dir: work folder; by default the folder beside the bundle.

    Raises:
        InputError: the folder has no configs/ folder.
    """

    def __init__(self, root: Path | str, work_dir: Path | str | None = None) -> None:
        self.root = Path(root)
        self.work_dir = work_dir_of(self.root) if work_dir is None else Path(work_dir).absolute()
        if not is_bundle(self.root):
            raise not_a_bundle(str(root))

    @cached_property
    def plan(self) -> Plan:
        """All decisions.

        Raises:
            InputError: plan.json is missing, damaged or of another version.
        """
        if not self.has_plan:
            message = "is not a bundle of mist-bundle: it has no configs/plan.json. `autoconfig` writes such bundles."
            raise InputError(Problem(str(self.root), message))
        from mist_bundle.planning.plan import Plan  # numpy comes with it

        return Plan.from_json(read_json(self.root / PLAN_JSON), str(self.root / PLAN_JSON))

    @property
    def has_plan(self) -> bool:
        """Whether mist-bundle wrote the bundle."""
        return (self.root / PLAN_JSON).is_file()

    @cached_property
    def identity(self) -> str:
        """Identifier of the bundle in its configurations."""
        return str(read_json(self.root / PLAN_JSON).get("bundle_id", ""))

    @cached_property
    def datalist(self) -> Datalist:
        """Its cases.

        Raises:
            InputError: datalist.json is missing or damaged.
        """
        path = self.root / DATALIST_JSON
        content = read_json(path)
        try:
            return Datalist(
                training=tuple(map(_listed, content["training"])),
                testing=tuple(map(_listed, content.get("testing", []))),
                fold_table=content.get("fold_table"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            lacking = f": it lacks {error}" if isinstance(error, KeyError) else ""
            message = f"is not a list of cases with id, image, label and fold{lacking}. Put the former file back."
            raise InputError(Problem(str(path), message)) from error

    @property
    def metadata(self) -> dict[str, Any]:
        """Content of metadata.json, read each time because commands change it.

        Raises:
            InputError: the file is missing or damaged.
        """
        return _object(self.root / METADATA_JSON, read_json(self.root / METADATA_JSON))

    def config_file(self, stem: str) -> Path | None:
        """Return the path of a configuration file in any of its formats; None if it does not exist."""
        for suffix in CONFIG_SUFFIXES:
            path = self.root.absolute() / "configs" / f"{stem}{suffix}"
            if path.is_file():
                return path
        return None

    def config_path(self, stem: str) -> Path:
        """Return the path of a required configuration file.

        Raises:
            InputError: the file does not exist.
        """
        path = self.config_file(stem)
        if path is None:
            message = f"is not a bundle of mist-bundle: configs/{stem}.json does not exist."
            raise InputError(Problem(str(self.root), message))
        return path

    def config(self, stem: str) -> dict[str, Any]:
        """Read a configuration file; keys stay as they are written.

        Raises:
            InputError: the file is missing or cannot be parsed.
        """
        return read_config(self.config_path(stem))

    @property
    def models(self) -> Path:
        """Folder of the published weights."""
        return self.root / "models"

    @property
    def model(self) -> Path:
        """Weights that inference with a single model uses."""
        return self.root / MODEL_PT

    def fold(self, number: int) -> Fold:
        """Return a fold by its number."""
        return Fold(number, self.work_dir / f"fold_{number}", self.models / f"fold_{number}.pt")

    def folds(self) -> Iterator[Fold]:
        """Iterate over all folds."""
        for number in range(self.datalist.num_folds):
            yield self.fold(number)

    def trained_folds(self) -> list[int]:
        """Return the numbers of the folds whose weights are in the bundle."""
        return [fold.number for fold in self.folds() if fold.published is not None]


def is_bundle(path: Path) -> bool:
    """Return whether a folder has the layout of a bundle."""
    return (path / "configs").is_dir()


def not_a_bundle(name: str) -> InputError:
    """Return the error about a folder that is not a bundle."""
    return InputError(Problem(name, "is not a bundle: there is no configs/ folder in it."))


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration file, JSON or YAML.

    Raises:
        InputError: the file is missing or cannot be parsed.
    """
    if path.suffix == ".json":
        return _object(path, read_json(path))
    import yaml

    try:
        return _object(path, yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read ({error.strerror or error}).")) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(Problem(str(path), f"is not valid YAML ({error}).")) from error


def _object(path: Path, content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise InputError(Problem(str(path), f"holds {as_json(content)}; expected an object."))
    return content


def _listed(entry: Mapping[str, Any]) -> ListedCase:
    images = entry["image"]
    fold = entry.get("fold")
    return ListedCase(
        id=str(entry["id"]),
        images=(images,) if isinstance(images, str) else tuple(map(str, images)),
        label=entry.get("label"),
        fold=None if fold is None else int(fold),
        unlabelled=tuple(map(int, entry.get("unlabelled", ()))),
        missing=tuple(map(str, entry.get("missing", ()))),
    )
