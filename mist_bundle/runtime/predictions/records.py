"""What the label maps in a folder depend on, so that running again predicts only missing cases.

Beside the label maps is a record of each case, `records/<id>.json`, with hashes of the weights, the settings, the
code and the images. A label map whose record fits is left alone. A label map that depends on something else, or that
has no record, is replaced only with `overwrite`. Needs no torch, so that a command can look before it starts anything.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from ..folds.files import read_object, sha256_of, write_json
from ..values import truth
from ..wording import join_with_and
from .say import say
from .writer import CaseWriter

FRESH, MISSING, STALE, UNKNOWN = "fresh", "missing", "stale", "unknown"
RECORDS = "records"
UNCERTAINTY_MAPS = ("entropy", "disagreement")
_VERSION = 1
# what a label map depends on, and how messages call it
_PARTS = {"weights": "weights", "settings": "settings", "code": "code of the bundle", "images": "images"}
_NOTHING = (
    "Nothing to predict: configs/datalist.json lists no such cases. Give --dataset_dir FOLDER, with a folder for each "
    "case that holds a file for each channel (CHANNEL.nii.gz), or with the images of a single channel."
)
_ADVICE = "Choose another output folder, or pass --overwrite to replace it."


def volume_path(folder: Path, case: str, suffix: str = "") -> Path:
    """Path of the label map, or of another volume, of a case.

    Raises:
        ValueError: the id cannot name a file.
    """
    if Path(case).name != case or case in ("", ".", ".."):
        raise ValueError(f"The id {case!r} cannot name a file; ids must not contain a path separator.")
    return folder / f"{case}{suffix}.nii.gz"


def probabilities_path(folder: Path, case: str) -> Path:
    """Path of a case's class probabilities, beside its label map."""
    return volume_path(folder / "probabilities", case)


def uncertainty_path(folder: Path, case: str, name: str) -> Path:
    """Path of a map of uncertainty of a case; `name` is from UNCERTAINTY_MAPS."""
    return volume_path(folder / "uncertainty", case, f"_{name}")


def record_path(folder: Path, case: str) -> Path:
    """Path of the record of a case."""
    return folder / RECORDS / f"{case}.json"


@dataclass(frozen=True, slots=True)
class CaseStatus:
    """What there is of a case.

    Attributes:
        state: FRESH, MISSING, STALE (depends on something else) or UNKNOWN (has no record).
        why: a sentence about a label map that is STALE or UNKNOWN.
    """

    state: str
    why: str = ""


class Predictions:
    """The label maps of a folder, and what they depend on.

    Args:
        folder: of the label maps.
        weight_files: those that exist are used.
        settings: whatever else decides what comes out, as plain values.
        setting_files: further files that decide, such as the post-processing; those that exist are used.
        probabilities: a case needs maps of probabilities too.
        uncertainty: a case needs maps of uncertainty too.
        overwrite: replace label maps that are STALE or UNKNOWN.
    """

    def __init__(
        self,
        folder: str | Path,
        weight_files: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        setting_files: Sequence[str] = (),
        probabilities: bool = False,
        uncertainty: bool = False,
        overwrite: bool | str = False,
    ) -> None:
        self.folder = Path(folder)
        self.weight_files = list(map(Path, weight_files))
        self.settings = dict(settings or {})
        self.setting_files = list(map(Path, setting_files))
        self.probabilities = probabilities
        self.uncertainty = uncertainty
        self.overwrite = truth(overwrite)
        self._images: dict[str, list[Path]] = {}
        self._warnings: dict[str, list[str]] = {}
        self._expected: dict[str, dict[str, float]] = {}
        self._lock = threading.Lock()
        self.writer = CaseWriter()

    def begin(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Forget the failures of last time, and look for label maps that are in the way.

        The first step of a bundle's run list. It ends the program with exit code 2 where a label map may not be
        replaced: sentences tell a user more than a traceback.
        """
        if not items:
            say(_NOTHING)
            raise SystemExit(2)
        for item in items:
            self.clear_failure(str(item["id"]))
        problems = [] if self.overwrite else self.problems(items)
        if problems:
            say("\n".join(["Nothing was predicted, because these label maps exist already:", *problems]))
            raise SystemExit(2)

    def problems(self, items: Sequence[Mapping[str, Any]]) -> list[str]:
        """A sentence for each label map that is in the way."""
        problems = []
        for item in items:
            status = self.status_of(item)
            if status.state in (STALE, UNKNOWN):
                problems.append(f"{self.path(str(item['id']))}: {status.why} {_ADVICE}")
        return problems

    def status_of(self, item: Mapping[str, Any]) -> CaseStatus:
        """What there is of a case {"id", "image": files}."""
        case = str(item["id"])
        self._images[case] = list(map(Path, _as_list(item["image"])))
        label_map = self.path(case)
        if not label_map.exists():
            return CaseStatus(MISSING)
        record = _read(record_path(self.folder, case))
        content = sha256_of(label_map)
        if content == record.get("replaces"):  # killed between the record and the label map
            return CaseStatus(MISSING)
        if content != record.get("label_map"):
            return CaseStatus(UNKNOWN, "exists already and was not written by this command.")
        before, now = record.get("made_from", {}), self._dependencies(case)
        changed = [words for part, words in _PARTS.items() if before.get(part) != now[part]]
        if changed:
            return CaseStatus(STALE, f"was predicted with other {join_with_and(changed)}.")
        for path in self._files_of(case):
            if not path.exists():
                return CaseStatus(MISSING)
        return CaseStatus(FRESH)

    def path(self, case: str) -> Path:
        """The label map of a case."""
        return volume_path(self.folder, case)

    def warn(self, case: str, warnings: Sequence[str]) -> None:
        """Keep warnings about a case for its record."""
        self._warnings[case] = list(warnings)

    def expect(self, case: str, dice: Mapping[str, float]) -> None:
        """Keep the expected Dice of the prediction of a case, for its record."""
        self._expected[case] = dict(dice)

    def commit(self, case: str, label_map: Path) -> None:
        """Write the record of a label map that is complete but not yet in its place.

        A kill before the file is in its place leaves a case that is missing, never a label map without a record.
        """
        content: dict[str, Any] = {"made_from": self._dependencies(case), "label_map": sha256_of(label_map)}
        former = self.path(case)
        if former.exists():
            content["replaces"] = sha256_of(former)
        content["warnings"] = self._warnings.get(case, [])
        if case in self._expected:
            content["expected_dice"] = self._expected[case]
        _write(self.folder, case, content)

    def failed(self, case: str, message: str) -> None:
        """Write down why a case could not be predicted; a label map that was there before stays, and its record too."""
        _write(self.folder, case, {**_read(record_path(self.folder, case)), "failed": message})

    def clear_failure(self, case: str) -> None:
        """Forget that a case failed when it was last tried."""
        record = _read(record_path(self.folder, case))
        if record.pop("failed", None) is not None:
            _write(self.folder, case, record)

    def _files_of(self, case: str) -> list[Path]:
        """All files that a predicted case has."""
        files = [self.path(case)]
        if self.probabilities:
            files.append(probabilities_path(self.folder, case))
        if self.uncertainty:
            files += [uncertainty_path(self.folder, case, name) for name in UNCERTAINTY_MAPS]
        return files

    def _dependencies(self, case: str) -> dict[str, str]:
        """Hashes of all that the prediction of a case depends on."""
        # by content: a copied or moved dataset is the same
        images = _contents(self._images.get(case, []))
        with self._lock:  # the first case computes what all cases share
            return {**self._common, "images": _sum_of(images)}

    @cached_property
    def _common(self) -> dict[str, str]:
        return {
            "weights": _sum_of(_hashes(self.weight_files)),
            "settings": _sum_of([self.settings, _hashes(self.setting_files)]),
            "code": _code(),
        }


def read_failure(folder: Path, case: str) -> str:
    """Why a case could not be predicted when it was last tried; "" where nothing was written down."""
    return str(_read(record_path(folder, case)).get("failed", ""))


def _read(path: Path) -> dict[str, Any]:
    content = read_object(path)
    return content if content.get("version") == _VERSION else {}


def _write(folder: Path, case: str, content: Mapping[str, Any]) -> None:
    write_json(record_path(folder, case), {"version": _VERSION, "id": case, **content})


def _hashes(files: Sequence[Path]) -> dict[str, str]:
    """The hash of each file that exists, by its name."""
    return {path.name: sha256_of(path) for path in files if path.is_file()}


def _contents(files: Sequence[Path]) -> list[str]:
    """The hash of each file that exists; a file that is named again is read once."""
    hashes: dict[Path, str] = {}
    for path in files:
        if path not in hashes and path.is_file():
            hashes[path] = sha256_of(path)
    return [hashes[path] for path in files if path in hashes]


def _sum_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


@lru_cache(maxsize=1)
def _code() -> str:
    """Hash of the code that travels with the bundle, with paths relative to it."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
