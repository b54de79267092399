"""The user's overrides of a bundle's configuration: checked before a workflow starts, and passed on unchanged.

`monai.bundle run … --epoch 5` creates a key that nothing reads and trains with the default; here the error names the
nearest id. MONAI also looks for its own syntax in every text: a folder `run #2` would become `run ::2`.
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
from mist_bundle.runtime.values import Text
from mist_bundle.runtime.wording import nearest


def load_configs(paths: Sequence[Path]) -> dict[str, Any]:
    """Merge configuration files; later files replace ids of earlier files."""
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
    """Convert the overrides to values of the kind that each id takes; None values are ignored.

    Args:
        config: the configuration that they change.
        overrides: values by id, `#` or `::` for nesting; texts are read as on a command line.

    Raises:
        InputError: ids are not in the configuration, or values are not allowed; names all of them.
    """
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for name, value in overrides.items():
        if value is None:
            continue
        if not has_id(config, name):
            problems.append(_unknown_id(config, name))
        sentence = _value_problem(name, value)
        if sentence is not None:
            problems.append(Problem(f"--{name}", sentence))
        else:
            values[name] = _converted(name, value)
    if problems:
        raise InputError(problems)
    _check_patch(config, values)
    return values


def _unknown_id(config: Mapping[str, Any], name: str) -> Problem:
    close = nearest(_joined(name), _ids(config), cutoff=0.6)
    hint = f"Did you mean --{close}?" if close else f"Known: --{', --'.join(sorted(config))}."
    return Problem(f"--{name}", f"is not in this bundle's configuration. {hint}")


def _value_problem(name: str, value: Any) -> str | None:
    sentence = setting_problem(name, value)
    if sentence is None and name == "device" and not is_expression(value):
        return device_problem(str(value))
    return sentence


def _converted(name: str, value: Any) -> Any:
    kind = SETTINGS.get(name)
    if kind is None or is_expression(value):
        return value
    if isinstance(value, str) and not isinstance(kind, Text):
        value = kind.read(value)
    return kind.clean(value)


def _check_patch(config: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuse a patch that the bundle's network cannot take; the bundle itself would refuse it too, minutes later."""
    divisor = values.get("patch_divisor", config.get("patch_divisor"))
    patch = values.get("patch_size")
    if patch is None or is_expression(patch) or not isinstance(divisor, Sequence) or isinstance(divisor, str):
        return
    problem = patch_problem(patch, divisor)
    if problem:
        raise InputError(Problem("--patch_size", problem))


def override_word(value: Any) -> str:
    """Return a value as a word of `monai.bundle run`'s command line that arrives there unchanged.

    A text in MONAI's own language (`$`, `@` or `%` at its start) stays as it is. In any other text, `@`, `#` and `%`
    are only letters: they are passed on in an expression, whose escapes MONAI does not interpret.
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
    """Return whether the configuration has an id (`#` or `::` for nesting)."""
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
