"""What a user sets in place of a bundle's configuration: checked before a workflow starts, and handed over unchanged.

`monai.bundle run … --epoch 5` creates a key that nothing reads and trains with the default; here the nearest id is
named. MONAI also looks for its own syntax inside of every text: a folder `run #2` would become `run ::2`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.bundle.devices import device_problem
from mist_bundle.bundle.expressions import SYNTAX, literal
from mist_bundle.bundle.folder import read_config
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.numerics.patch_fit import patch_problem
from mist_bundle.runtime.settings import SETTINGS, is_expression, setting_problem
from mist_bundle.runtime.values import Text, nearest


def load_configs(paths: Sequence[Path]) -> dict[str, Any]:
    """The configuration that several files make together: later ones replace ids of earlier ones."""
    merged: dict[str, Any] = {}
    for path in paths:
        for key, value in read_config(path).items():
            try:
                _set(merged, _parts(key), value)
            except (AttributeError, IndexError, TypeError, ValueError) as error:
                message = "leads nowhere in the files before it. Its parts are keys and positions that exist there."
                raise InputError(Problem(f"{path} {key}", message)) from error
    return merged


def checked_overrides(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides as values of the kind that each id takes; those that are None are left out.

    Args:
        config: the configuration that they change.
        overrides: values by id, `#` or `::` for nesting; texts are read as on a command line.

    Raises:
        InputError: naming every id that is not in the configuration, with the nearest that is, and every value that
            cannot be.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    problems = [*_unknown(config, given)]
    for name, value in given.items():
        sentence = setting_problem(name, value)
        if sentence is None and name == "device" and not is_expression(value):
            sentence = device_problem(str(value))
        if sentence is not None:
            problems.append(Problem(f"--{name}", sentence))
    if problems:
        raise InputError(problems)
    read = {name: _read(name, value) for name, value in given.items()}
    _check_patch(config, read)
    return read


def _unknown(config: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Problem]:
    for name in given:
        if not has_id(config, name):
            close = nearest(_joined(name), _ids(config), cutoff=0.6)
            hint = f"Did you mean --{close}?" if close else f"Known: --{', --'.join(sorted(config))}."
            yield Problem(f"--{name}", f"is not in this bundle's configuration. {hint}")


def _read(name: str, value: Any) -> Any:
    kind = SETTINGS.get(name)
    if kind is None or is_expression(value):
        return value
    return kind.clean(kind.read(value) if isinstance(value, str) and not isinstance(kind, Text) else value)


def _check_patch(config: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse a patch that the bundle's network cannot take; the bundle itself would refuse it too, minutes later."""
    divisor = given.get("patch_divisor", config.get("patch_divisor"))
    patch = given.get("patch_size")
    if patch is None or is_expression(patch) or not isinstance(divisor, Sequence) or isinstance(divisor, str):
        return
    problem = patch_problem(patch, divisor)
    if problem:
        raise InputError(Problem("--patch_size", problem))


def override_word(value: Any) -> str:
    """A value as a word of `monai.bundle run`'s command line that arrives there as it is.

    A text in MONAI's own language (`$`, `@` or `%` at its start) stays that. In any other, `@`, `#` and `%` are only
    letters: they are handed over in an expression, whose escapes MONAI does not look into.
    """
    if is_expression(value):
        return str(value)
    plain = list(value) if isinstance(value, tuple) else value
    if any(letter in repr(plain) for letter in SYNTAX):
        return f"${literal(plain)}"
    if isinstance(plain, str):
        from fire.parser import DefaultParseValue  # what MONAI reads its command line with

        return plain if DefaultParseValue(plain) == plain else repr(plain)
    return repr(plain)


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
    """Set a value by its path of keys and, in lists, of positions."""
    target: Any = config
    for part in parts[:-1]:
        target = target[int(part)] if isinstance(target, list) else target.setdefault(part, {})
    if isinstance(target, list):
        target[int(parts[-1])] = value
    else:
        target[parts[-1]] = value


def _ids(config: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield f"{prefix}{key}"
            yield from _ids(value, f"{prefix}{key}#")
