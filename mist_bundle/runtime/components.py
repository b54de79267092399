"""What a training depends on besides its settings: every value inside of the configuration's components.

A training continues only with what it was begun with. `--loss#smooth_nr 0.1`, a further configuration file or an edited
train.json change no setting of a name of its own; they change values in here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from .settings import CONFIG_SUFFIXES, SETTINGS

# what says where and how a run takes place, and not what comes out of it; settings are compared by their names
_NOT_COMPARED = frozenset(SETTINGS) | {
    "_meta_",
    "bundle_id",
    "bundle_root",
    "checked_settings",
    "checkpoints",
    "evaluating",
    "finalize",
    "imports",
    "initialize",
    "rank",
    "run",
    "scripts_path",
    "training",
    "world_size",
}
_MAX_TEXT = 40


def component_values(config: Mapping[str, Any], bundle_root: str) -> dict[str, str]:
    """Every value inside of the components of a running training's configuration.

    Args:
        config: the configuration as MONAI's parser holds it, macros and relative ids resolved.
        bundle_root: the bundle's folder; what its overlay for several GPUs changes is left out, since a training may
            continue with another number of them.

    Returns:
        Values by their ids as on a command line (`loss#smooth_nr`); of long values a hash.
    """
    for_gpus = _changed_for_gpus(Path(bundle_root))
    values: dict[str, str] = {}
    for name, part in config.items():
        if name in _NOT_COMPARED:
            continue
        for place, value in _leaves(part, name):
            if not f"{place}#".startswith(for_gpus):
                values[place] = _shown(value)
    return values


def _changed_for_gpus(bundle: Path) -> tuple[str, ...]:
    """How the ids begin that multi_gpu_train.json changes."""
    for suffix in CONFIG_SUFFIXES:
        file = bundle / "configs" / f"multi_gpu_train{suffix}"
        if file.is_file():
            ids = ConfigParser.load_config_file(str(file))
            return tuple(f"{name.replace('::', '#')}#" for name in ids)
    return ()


def _leaves(part: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every value that is not a dictionary or list, by its id."""
    named: list[tuple[Any, Any]] = []
    if isinstance(part, Mapping):
        named = list(part.items())
    elif isinstance(part, (list, tuple)):
        named = list(enumerate(part))
    if not named:
        yield name, part
    for key, value in named:
        yield from _leaves(value, f"{name}#{key}")


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _MAX_TEXT else hashlib.sha256(repr(value).encode()).hexdigest()[:12]
