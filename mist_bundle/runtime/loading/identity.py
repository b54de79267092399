"""What makes two preprocessed arrays the same: the identity of the input files and of the recipe applied to them.

The recipe is taken from the instantiated transforms themselves and from the source text of this bundle's own
transforms, so that an edit of either in a bundle leads to new cache entries: stale ones cannot be read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ..folds.files import sha256_of

# Attributes that are not part of what a transform does: random state, and what MONAI notes while it runs ("filenames":
# its readers).
_VOLATILE = frozenset({"R", "_do_transform", "_pending_operations", "filenames"})
_MAX_DEPTH = 12


def describe(value: Any, depth: int = 0) -> Any:
    """Plain JSON that is equal for objects that were constructed alike, in every process.

    Numbers, strings, collections and arrays by value; classes and functions by name; other objects by class and
    attributes. Package names on top are left out, so that `mist_bundle.runtime.x` and a bundle's `scripts.x` agree.
    """
    if value is None or isinstance(value, (bool, int, float, str, Enum, np.generic)):
        return _describe_scalar(value)
    if isinstance(value, np.ndarray):
        return ["array", str(value.dtype), list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]
    if isinstance(value, (Mapping, Sequence, set, frozenset)) and not isinstance(value, (bytes, bytearray)):
        return _describe_collection(value, depth + 1)
    return _describe_object(value, depth + 1)


def _describe_scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return [type(value).__name__, value.name]
    if isinstance(value, np.generic):
        value = value.item()
    return repr(value) if isinstance(value, float) else value  # as text: JSON has no NaN


def _describe_collection(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        pairs = [[str(key), describe(item, depth)] for key, item in value.items()]
        return ["mapping", sorted(pairs, key=json.dumps)]
    items = [describe(item, depth) for item in value]
    return ["set", sorted(items, key=json.dumps)] if isinstance(value, (set, frozenset)) else items


def _describe_object(value: Any, depth: int) -> Any:
    if isinstance(value, partial):
        function, arguments = describe(value.func, depth), describe(value.args, depth)
        return ["partial", function, arguments, describe(value.keywords, depth)]
    if hasattr(value, "detach"):
        return describe(value.detach().cpu().numpy(), depth)
    if depth > _MAX_DEPTH or hasattr(value, "__qualname__") or not hasattr(value, "__dict__"):
        return _name(value)
    attributes = {key: item for key, item in vars(value).items() if key not in _VOLATILE}
    return [_name(value), describe(attributes, depth)]


def _name(value: Any) -> str:
    named = value if hasattr(value, "__qualname__") else type(value)
    module = str(getattr(named, "__module__", ""))
    for prefix in ("mist_bundle.runtime.", "scripts."):
        module = module.removeprefix(prefix)
    # torch.float32 and torch.device("cpu") have no attributes: their text says which is meant
    return f"{module}.{named.__qualname__}" + (f" {value}" if module == "torch" and named is not value else "")


@lru_cache(maxsize=1)
def own_code() -> str:
    """Hash (sha256) of the source of the numerics, readers and transforms that travel beside this file."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for folder in ("numerics", "reading", "transforms"):
        for path in sorted((root / folder).glob("*.py")):
            digest.update(f"{folder}/{path.name}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def input_files(item: Mapping[str, Any]) -> list[list[Any]]:
    """Entry, path, size and modification time (ns) of every file that an item names, in a fixed order.

    Raises:
        ValueError: the item has no "image", or an image or label is not a path.
        FileNotFoundError: an image or label does not exist.
    """
    if not item.get("image"):
        message = f"the case has no 'image'; its entries are {sorted(item)}."
        raise ValueError(message)
    files: list[list[Any]] = []
    for key in sorted(item):
        if key == "id" or item[key] is None:
            continue
        values = item[key] if isinstance(item[key], (list, tuple)) else [item[key]]
        files += [_identify(key, value) for value in values]
    return files


def _identify(key: str, value: Any) -> list[Any]:
    required = key in ("image", "label")
    if not isinstance(value, (str, Path)):
        if required:
            message = f"'{key}' must name files, but holds {type(value).__name__}."
            raise ValueError(message)
        return [key, describe(value)]
    try:
        status = Path(value).stat()
    except OSError as error:
        if required:
            message = f"'{key}' names {Path(value).absolute()}, which cannot be read ({error.strerror})."
            raise FileNotFoundError(message) from None
        return [key, str(value)]  # other entries of an item may be plain text
    return [key, str(Path(value).resolve()), status.st_size, status.st_mtime_ns]


def file_digests(item: Mapping[str, Any]) -> dict[str, list[str]]:
    """sha256 of the content of every file that an item names, by its entries ("image", "label")."""
    digests: dict[str, list[str]] = {}
    for key in sorted(item):
        values = item[key] if isinstance(item[key], (list, tuple)) else [item[key]]
        files = [Path(value) for value in values if isinstance(value, (str, Path)) and Path(value).is_file()]
        if files and key != "id":
            digests[key] = [sha256_of(path) for path in files]
    return digests


def cache_key(version: int, recipe: Any, keys: Sequence[str], item: Mapping[str, Any]) -> str:
    """Name an entry: 32 hexadecimal digits of a sha256."""
    content = {"version": version, "recipe": recipe, "keys": list(keys), "files": input_files(item)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()[:32]
