"""Refuse overrides that a bundle does not know.

`monai.bundle run … --epoch 5` creates a key that nothing reads and trains with the default; here the
nearest id is named.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import read_config
from mist_bundle.errors import InputError, Problem


def load_configs(paths: Sequence[Path]) -> dict[str, Any]:
    """The configuration that several files make together: later ones replace ids of earlier ones."""
    merged: dict[str, Any] = {}
    for path in paths:
        for key, value in read_config(path).items():
            _set(merged, _parts(key), value)
    return merged


def check_overrides(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Raise InputError naming every override whose id is not in the configuration, with the nearest that is."""
    problems = []
    for key in overrides:
        if not _exists(config, _parts(key)):
            close = difflib.get_close_matches(_joined(key), list(_ids(config)), n=3, cutoff=0.6)
            hint = f"Did you mean --{', --'.join(close)}?" if close else f"Known: --{', --'.join(sorted(config))}."
            problems.append(Problem(f"--{key}", f"is not in this bundle's configuration. {hint}"))
    if problems:
        raise InputError(problems)


def has_id(config: Mapping[str, Any], key: str) -> bool:
    """Whether the configuration has something at that id (`#` or `::` for nesting)."""
    return _exists(config, _parts(key))


def _parts(key: str) -> list[str]:
    return key.replace("::", "#").split("#")


def _joined(key: str) -> str:
    return "#".join(_parts(key))


def _exists(config: Any, parts: list[str]) -> bool:
    for part in parts:
        if isinstance(config, Mapping) and part in config:
            config = config[part]
        elif isinstance(config, list) and part.isdigit() and int(part) < len(config):
            config = config[int(part)]
        else:
            return False
    return True


def _set(config: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        config = config.setdefault(part, {})
    config[parts[-1]] = value


def _ids(config: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield f"{prefix}{key}"
            yield from _ids(value, f"{prefix}{key}#")
