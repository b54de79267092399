"""Preprocessed cases on disk, looked up by their input files and their preprocessing.

An entry's name is a hash of the input files' identity and of the recipe: changed data or changed preprocessing simply
have another name. Entries appear complete or not at all, so several processes may build the same cache at once.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from .identity import cache_key, describe, file_digests, own_code
from .integrity import damage
from .prepared import affine_rows, prepared_arrays, write_arrays
from .threads import available_threads
from .volumes import ENTRY_FILE, CacheEntry

# Raise it when the files of an entry change their meaning: older entries are then never looked at.
CACHE_VERSION = 2

Item = Mapping[str, Any]
_Failures = list[tuple[str, str]]
logger = logging.getLogger(__name__)


class CacheBuildError(RuntimeError):
    """Some cases could not be preprocessed. `failures` holds (id, reason) of each; the others are in the cache."""

    def __init__(self, failures: Sequence[tuple[str, str]], total: int) -> None:
        self.failures = tuple(sorted(failures))
        self.total = total
        lines = [f"{len(self.failures)} of {total} cases could not be preprocessed:"]
        for name, reason in self.failures:
            lines.append(f"  {name}: {reason}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it travel between processes, as it must from a DataLoader's worker."""
        return type(self), (self.failures, self.total)


class CacheFolderError(OSError):
    """Prepared arrays cannot be written: a matter of the machine, not of a case."""

    def __init__(self, folder: Path, cause: OSError) -> None:
        reason = cause.strerror or str(cause)
        message = (
            f"{folder}: prepared arrays cannot be written there: {reason}. Make room, or choose another --work_dir."
        )
        super().__init__(cause.errno, message)

    def __str__(self) -> str:
        return str(self.args[1])

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it travel between processes."""
        return OSError, self.args


class ArrayCache:
    """A folder of preprocessed cases.

    Items are dictionaries {"id": str, "image": path or [paths], "label": path} with the raw files' paths. Creating a
    cache touches nothing; entries are built by `build`, or singly by `get`.
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
        balance_instances: bool = False,
    ) -> None:
        """Store the settings; nothing is read or written yet.

        Args:
            folder: where the entries are; created when first needed.
            transform: the preprocessing (a MONAI Compose) from item to {"image": (C, X, Y, Z), "label": (1, X, Y, Z)
                class indices, ["dtm": (K, X, Y, Z)]}. Its settings are part of an entry's name.
            recipe: further plain JSON that shall be part of the name.
            keys: the arrays to store. Without "label" the cache serves images that nobody has labelled.
            workers: threads that preprocess (reading, resampling and filtering let go of Python's lock); None: as many
                as there are cores, at most 8.
            progress: show a bar; None shows it when stderr is a terminal.
            ignore_index: voxels with this or a higher index belong to no class, and no patch shall be laid around them.
            balance_instances: store as many voxels of a small lesion as of a large one, so that patches are laid around
                each of them equally often.
        """
        self.folder = Path(folder).absolute()
        self.transform = transform
        self.keys = tuple(keys)
        self.workers = available_threads() if workers is None else max(1, workers)
        self.progress = progress
        self.ignore_index = ignore_index
        self.balance_instances = balance_instances
        # described now, before a transform has run: some keep notes in their attributes
        self._recipe = [recipe, describe(transform), own_code()]
        if ignore_index is not None:
            self._recipe.append(ignore_index)
        if balance_instances:
            self._recipe.append("balance_instances")

    def key(self, item: Item) -> str:
        """The name of the item's entry."""
        return cache_key(CACHE_VERSION, self._recipe, self.keys, item)

    def get(self, item: Item) -> CacheEntry:
        """The item's entry, built now where it is missing or damaged.

        Raises:
            CacheBuildError: naming the case and what went wrong.
        """
        return self.build([item], progress=False)[0]

    def contains(self, item: Item) -> bool:
        """Whether the item's entry is there."""
        return self._complete(self.key(item))

    def digests(self, item: Item) -> dict[str, list[str]]:
        """sha256 of the files that the item's entry was made of, by "image" and "label"."""
        content = json.loads((self.folder / self.key(item) / ENTRY_FILE).read_text(encoding="utf-8"))
        noted: dict[str, list[str]] | None = content.get("sha256")
        return file_digests(item) if noted is None else noted  # entries of earlier versions have none

    def build(
        self, items: Sequence[Item], *, progress: bool | None = None, workers: int | None = None
    ) -> list[CacheEntry]:
        """Preprocess what is missing and return all entries, in the order of the items.

        Other processes may do the same at the same time: each takes cases that nobody is working on.

        Raises:
            CacheBuildError: some cases failed; raised after all others are done.
            CacheFolderError: nothing can be written.
        """
        entries, failures = self.build_usable(items, progress=progress, workers=workers)
        if failures:
            raise CacheBuildError(list(failures.items()), len(items))
        return entries

    def build_usable(
        self, items: Sequence[Item], *, progress: bool | None = None, workers: int | None = None
    ) -> tuple[list[CacheEntry], dict[str, str]]:
        """Preprocess what is missing; the entries of the cases that could be prepared, and why the others could not.

        Entries whose files were damaged since they were written count as missing.

        Raises:
            CacheFolderError: nothing can be written.
        """
        failed: _Failures = []
        names = []
        missing = {}
        for item in items:
            name = _attempt(failed, item, self.key)
            names.append(name)
            if name is not None and not self._complete(name):
                missing[name] = item
        if missing:
            self._build_missing(missing, failed, progress, max(1, workers or self.workers))
        failures = dict(failed)
        entries = []
        for name, item in zip(names, items, strict=True):
            if item_id(item) not in failures:
                entries.append(CacheEntry.read(self.folder / name))
        return entries, failures

    def _complete(self, name: str) -> bool:
        """Whether an entry is there and undamaged."""
        return (self.folder / name / ENTRY_FILE).is_file() and not self._damage(name)

    def _damage(self, name: str) -> str:
        folder = self.folder / name
        try:
            content = json.loads((folder / ENTRY_FILE).read_text(encoding="utf-8"))
            return damage(folder, content["stored"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return f"{ENTRY_FILE} cannot be read"

    def _build_missing(
        self, missing: Mapping[str, Item], failures: _Failures, progress: bool | None, workers: int
    ) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheFolderError(self.folder, error) from error
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
            futures = [pool.submit(work, name) for name in missing]
            for future in as_completed(futures):
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupt ends after the cases in hand
        return busy

    def _ensure(self, name: str, item: Item, *, wait: bool) -> bool:
        """Build an entry; False when another process is at it (and `wait` is False)."""
        with _claim(self.folder / f".{name}.lock", wait=wait) as mine:
            if not mine:
                return False
            if not self._complete(name):
                self._drop_damaged(name, item)
                self._write(name, item)
        return True

    def _drop_damaged(self, name: str, item: Item) -> None:
        folder = self.folder / name
        if not folder.exists():
            return
        logger.warning(
            "%s: its prepared arrays were damaged (%s); they are prepared again.", item_id(item), self._damage(name)
        )
        try:
            aside = self.folder / f".{name}.{uuid4().hex}.damaged"
            folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        except OSError as error:
            raise CacheFolderError(self.folder, error) from error

    def _write(self, name: str, item: Item) -> None:
        # a copy for each case: MONAI's readers keep the file names of the case they are at, which threads would mix up
        result = copy.deepcopy(self.transform)(dict(item))
        if not isinstance(result, Mapping):
            message = f"the preprocessing must return a dictionary for each case, but returned {type(result).__name__}."
            raise TypeError(message)
        arrays = prepared_arrays(result, self.keys)
        temporary = self.folder / f".{name}.{uuid4().hex}.partial"
        try:
            temporary.mkdir()
            content = write_arrays(
                temporary,
                arrays,
                ignore_index=self.ignore_index,
                seed=int(name[:8], 16),
                balance_instances=self.balance_instances,
            )
            files = {}
            for key in sorted(item):
                files[key] = str(item[key])
            content |= {"id": item_id(item), "affine": affine_rows(result.get("image")), "files": files}
            content["sha256"] = file_digests(item)
            (temporary / ENTRY_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            _publish(temporary, self.folder / name)
        except OSError as error:
            raise CacheFolderError(self.folder, error) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def warn_of_left_out(failures: Mapping[str, str], total: int, part: str, rank: int = 0) -> None:
    """Name the cases that a training continues without; the first process does.

    Raises:
        CacheBuildError: no case is left.
    """
    if failures and len(failures) >= total:
        raise CacheBuildError(list(failures.items()), total)
    if not failures or rank != 0:
        return
    for name, reason in sorted(failures.items()):
        logger.warning("warning: %s: left out of the %s: %s; repair the file or remove the case.", name, part, reason)
    logger.warning("warning: %s: %d of %d cases are left out.", part, len(failures), total)


def item_id(item: Item) -> str:
    """The case's name: its "id", or else the name of its (first) image file."""
    if item.get("id") is not None:
        return str(item["id"])
    image = item.get("image", "unnamed case")
    first = image[0] if isinstance(image, (list, tuple)) and image else image
    return Path(str(first)).name.removesuffix(".gz").removesuffix(".nii")


def _attempt(failures: _Failures, item: Item, function: Callable[[Item], Any]) -> Any:
    try:
        return function(item)
    except CacheFolderError:
        raise
    except Exception as error:  # a case that fails is named at the end; the others continue
        logger.debug("preprocessing of %s failed", item_id(item), exc_info=True)
        failures.append((item_id(item), _with_files(_reason(error), item)))
        return None


def _with_files(reason: str, item: Item) -> str:
    """A reason together with the case's files, unless it names any of them already."""
    files: list[str] = []
    for key in ("image", "label"):
        value = item.get(key) or []
        paths = value if isinstance(value, (list, tuple)) else [value]
        files += map(str, paths)
    for file in files:
        if file in reason:
            return reason
    return f"{reason} [{', '.join(files)}]" if files else reason


def _reason(error: BaseException) -> str:
    """Say what went wrong; MONAI's Compose puts "applying transform <object at ...>" before it."""
    wrapped = re.match(r"applying transform <(?:\w+\.)*(\w+)", str(error))
    if wrapped is None or error.__cause__ is None:
        return f"{type(error).__name__}: {error}"
    return f"{_reason(error.__cause__)} (in {wrapped[1]})"


def _publish(temporary: Path, final: Path) -> None:
    try:
        temporary.rename(final)
    except OSError:
        # another process was faster, and its entry is as good as ours
        if not (final / ENTRY_FILE).is_file():
            raise


@contextmanager
def _claim(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock file while a case is built. Yields False when somebody else holds it and `wait` is False.

    The operating system releases it when its holder dies. Where locks are not available (Windows, some network file
    systems) everybody builds, which costs time but no correctness.
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
