"""Preprocessed cases on disk, found by what they were made from.

An entry's name is a hash of the input files' identity and of the recipe: changed data or changed preprocessing simply
have another name. Entries appear complete or not at all, so several processes may build the same cache at once.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from .identity import cache_key, describe, own_code
from .threads import available_threads
from .volumes import ENTRY_FILE, VOXELS_FILE, CacheEntry, StoredClass

# Raise it when the files of an entry change their meaning: older entries are then never looked at.
CACHE_VERSION = 1
MAX_VOXELS_PER_CLASS = 10_000

Item = Mapping[str, Any]
_Failures = list[tuple[str, str]]
logger = logging.getLogger(__name__)


class CacheBuildError(RuntimeError):
    """Some cases could not be preprocessed. `failures` holds (id, reason) of each; the others are in the cache."""

    def __init__(self, failures: Sequence[tuple[str, str]], total: int) -> None:
        self.failures = tuple(sorted(failures))
        lines = "\n".join(f"  {name}: {reason}" for name, reason in self.failures)
        self.total = total
        super().__init__(f"{len(self.failures)} of {total} cases could not be preprocessed:\n{lines}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it travel between processes, as it must from a DataLoader's worker."""
        return type(self), (self.failures, self.total)


class ArrayCache:
    """A folder of preprocessed cases.

    Items are dictionaries {"id": str, "image": path or [paths], "label": path} with the raw files' paths. Making a
    cache touches nothing; entries are built by `build`, or one by one by `get`.
    """

    def __init__(
        self,
        folder: str | Path,
        transform: Callable[[dict[str, Any]], Any],
        recipe: Any = None,
        keys: Sequence[str] = ("image", "label"),
        workers: int | None = 1,
        progress: bool | None = None,
        ignore_index: int | None = None,
    ) -> None:
        """Take the settings.

        Args:
            folder: where the entries lie; made when first needed.
            transform: the preprocessing (a MONAI Compose) from item to {"image": (C, X, Y, Z), "label": (1, X, Y, Z)
                class indices, ["dtm": (K, X, Y, Z)]}. Its settings are part of an entry's name.
            recipe: further plain JSON that shall be part of the name.
            keys: the arrays to store. Without "label" the cache serves images that nobody has labelled.
            workers: threads that preprocess (reading, resampling and filtering let go of Python's lock); None: as many
                as there are cores, at most 8.
            progress: show a bar; None shows it when stderr is a terminal.
            ignore_index: class index of voxels that no patch shall be laid around.
        """
        self.folder = Path(folder).absolute()
        self.transform = transform
        self.keys = tuple(keys)
        self.workers = available_threads() if workers is None else max(1, workers)
        self.progress = progress
        self.ignore_index = ignore_index
        # taken now, before a transform that keeps notes has run
        self._recipe = [recipe, describe(transform), own_code(), *([] if ignore_index is None else [ignore_index])]

    def key(self, item: Item) -> str:
        """The name of the item's entry."""
        return cache_key(CACHE_VERSION, self._recipe, self.keys, item)

    def get(self, item: Item) -> CacheEntry:
        """The item's entry, built now where it is missing.

        Raises:
            CacheBuildError: naming the case and what went wrong.
        """
        return self.build([item], progress=False)[0]

    def contains(self, item: Item) -> bool:
        """Whether the item's entry is there."""
        return self._complete(self.key(item))

    def build(
        self, items: Sequence[Item], *, progress: bool | None = None, workers: int | None = None
    ) -> list[CacheEntry]:
        """Preprocess what is missing and return all entries, in the order of the items.

        Other processes may do the same at the same time: each takes cases that nobody is working on.

        Raises:
            CacheBuildError: some cases failed; raised after all others are done.
        """
        failures: _Failures = []
        names = [_attempt(failures, item, self.key) for item in items]
        missing = {
            name: item for name, item in zip(names, items, strict=True) if name is not None and not self._complete(name)
        }
        if missing:
            self._build_missing(missing, failures, progress, max(1, workers or self.workers))
        if failures:
            raise CacheBuildError(failures, len(items))
        return [CacheEntry.read(self.folder / str(name)) for name in names]

    def _complete(self, name: str) -> bool:
        return (self.folder / name / ENTRY_FILE).is_file()

    def _build_missing(
        self, missing: Mapping[str, Item], failures: _Failures, progress: bool | None, workers: int
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with _bar(len(missing), self.progress if progress is None else progress) as advance:
            busy = self._pass(missing, failures, workers, wait=False, advance=advance)
            # what other processes had in hand: wait for them, and take over what they did not finish
            self._pass(busy, failures, workers, wait=True, advance=advance)

    def _pass(
        self,
        missing: Mapping[str, Item],
        failures: _Failures,
        workers: int,
        *,
        wait: bool,
        advance: Callable[[], object],
    ) -> dict[str, Item]:
        busy: dict[str, Item] = {}

        def work(name: str) -> None:
            done = _attempt(failures, missing[name], lambda item: self._ensure(name, item, wait=wait))
            if done is False:
                busy[name] = missing[name]
            else:
                advance()

        if workers == 1 or len(missing) <= 1:
            for name in missing:
                work(name)
            return busy
        pool = ThreadPoolExecutor(workers)
        try:
            for future in as_completed([pool.submit(work, name) for name in missing]):
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupt ends after the cases in hand
        return {name: item for name, item in missing.items() if name in busy}

    def _ensure(self, name: str, item: Item, *, wait: bool) -> bool:
        """Build an entry; False when another process is at it (and `wait` is False)."""
        with _claim(self.folder / f".{name}.lock", wait=wait) as mine:
            if not mine:
                return False
            if not self._complete(name):
                self._write(name, item)
        return True

    def _write(self, name: str, item: Item) -> None:
        # a copy for each case: MONAI's readers keep the file names of the case they are at, which threads would mix up
        result = copy.deepcopy(self.transform)(dict(item))
        if not isinstance(result, Mapping):
            message = f"the preprocessing must return one dictionary a case, but returned {type(result).__name__}."
            raise TypeError(message)
        arrays = {key: _array(result, key) for key in self.keys}
        _check_shapes(arrays)
        temporary = self.folder / f".{name}.{uuid4().hex}.partial"
        temporary.mkdir()
        try:
            for key, array in arrays.items():
                _save(temporary / f"{key}.npy", array)
            label = arrays.get("label")
            sought = label if label is None or self.ignore_index is None else label * (label != self.ignore_index)
            voxels, classes = _find_classes(sought, int(name[:8], 16)) if sought is not None else (_NO_VOXELS, [])
            _save(temporary / VOXELS_FILE, voxels)
            first = next(iter(arrays.values()))
            content = {
                "id": item_id(item),
                "shape": list(first.shape[1:]),
                "affine": _affine(result.get("image")),
                "classes": [asdict(stored) for stored in classes],
                "files": {key: str(value) for key, value in sorted(item.items())},
            }
            (temporary / ENTRY_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            _publish(temporary, self.folder / name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def item_id(item: Item) -> str:
    """The case's name: its "id", or else the name of its (first) image file."""
    if item.get("id") is not None:
        return str(item["id"])
    image = item.get("image", "unnamed case")
    first = image[0] if isinstance(image, (list, tuple)) and image else image
    return Path(str(first)).name.removesuffix(".gz").removesuffix(".nii")


_NO_VOXELS = np.zeros((0, 3), np.int16)


def _attempt(failures: _Failures, item: Item, function: Callable[[Item], Any]) -> Any:
    try:
        return function(item)
    except Exception as error:  # a case that fails is named at the end; the others go on
        logger.debug("preprocessing of %s failed", item_id(item), exc_info=True)
        failures.append((item_id(item), _reason(error)))
        return None


def _reason(error: BaseException) -> str:
    """Say what went wrong; MONAI's Compose puts "applying transform <object at ...>" before it."""
    wrapped = re.match(r"applying transform <(?:\w+\.)*(\w+)", str(error))
    if wrapped is None or error.__cause__ is None:
        return f"{type(error).__name__}: {error}"
    return f"{_reason(error.__cause__)} (in {wrapped[1]})"


def _array(result: Mapping[str, Any], key: str) -> NDArray[Any]:
    if key not in result:
        message = f"the preprocessed case has no '{key}'; it holds {sorted(map(str, result))}."
        raise ValueError(message)
    array = _numpy(result[key])
    if array.ndim != 4:
        message = f"'{key}' must be (C, X, Y, Z) after preprocessing, but has shape {array.shape}."
        raise ValueError(message)
    if key == "label":
        return _label_array(array)
    array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        message = f"'{key}' holds NaN or infinite values after preprocessing."
        raise ValueError(message)
    return array


def _label_array(array: NDArray[Any]) -> NDArray[Any]:
    if array.shape[0] != 1:
        message = f"'label' must have one channel of class indices, but has {array.shape[0]} channels."
        raise ValueError(message)
    low, high = array.min(), array.max()
    if array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):
        raise ValueError("'label' holds values that are no integers after preprocessing.")
    if low < 0 or high > np.iinfo(np.int16).max:
        message = f"'label' must hold class indices from 0 to 32767, but its values reach from {low} to {high}."
        raise ValueError(message)
    return np.ascontiguousarray(array, dtype=np.uint8 if high <= np.iinfo(np.uint8).max else np.int16)


def _check_shapes(arrays: Mapping[str, NDArray[Any]]) -> None:
    shapes = {key: array.shape[1:] for key, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        message = f"the preprocessed arrays differ in shape: {shapes}."
        raise ValueError(message)


def _find_classes(label: NDArray[Any], seed: int) -> tuple[NDArray[Any], list[StoredClass]]:
    """Positions of (at most MAX_VOXELS_PER_CLASS, chosen at random) voxels of each class, and a table of them."""
    flat = label[0].ravel()
    positions = np.flatnonzero(flat)
    values = flat[positions]
    order = np.argsort(values, kind="stable")
    indices, firsts, counts = np.unique(values[order], return_index=True, return_counts=True)
    rng = np.random.default_rng(seed)
    chosen, classes, row = [], [], 0
    for index, first, count in zip(indices.tolist(), firsts.tolist(), counts.tolist(), strict=True):
        rows = positions[order[first : first + count]]
        if count > MAX_VOXELS_PER_CLASS:
            rows = np.sort(rng.choice(rows, MAX_VOXELS_PER_CLASS, replace=False))
        chosen.append(rows)
        classes.append(StoredClass(index=index, first_row=row, num_rows=len(rows), num_voxels=count))
        row += len(rows)
    if not chosen:
        return _NO_VOXELS, []
    shape = label.shape[1:]
    dtype = np.int16 if max(shape) <= np.iinfo(np.int16).max else np.int32
    return np.stack(np.unravel_index(np.concatenate(chosen), shape), axis=1).astype(dtype), classes


def _affine(image: Any) -> list[list[float]]:
    affine = getattr(image, "affine", None)
    matrix = np.eye(4) if affine is None else _numpy(affine).astype(np.float64)
    return [[float(value) for value in row] for row in matrix]


def _numpy(value: Any) -> NDArray[Any]:
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def _save(path: Path, array: NDArray[Any]) -> None:
    with path.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())


def _publish(temporary: Path, final: Path) -> None:
    try:
        temporary.rename(final)
    except OSError:
        # another process was faster, and its entry is as good as this one
        if not (final / ENTRY_FILE).is_file():
            raise


@contextmanager
def _claim(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock file while a case is built. Yields False when somebody else holds it and `wait` is False.

    The operating system lets go of it when its holder dies. Where locks are not to be had (Windows, some network
    file systems) everybody builds, which costs time but no correctness.
    """
    try:
        import fcntl
    except ImportError:
        yield True
        return
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            logger.debug("no locks in %s", path.parent)
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _bar(total: int, shown: bool | None) -> Iterator[Callable[[], object]]:
    shown = sys.stderr.isatty() if shown is None else shown
    tqdm = _tqdm() if shown else None
    if tqdm is None:
        yield lambda: None
        return
    with tqdm(total=total, desc="preprocessing", unit="case", file=sys.stderr) as bar:
        yield bar.update


def _tqdm() -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm
