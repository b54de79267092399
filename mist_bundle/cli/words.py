"""What the verbs share: reading the words that Fire hands over, refusing wrong ones, telling warnings and failures."""

from __future__ import annotations

import difflib
import inspect
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.errors import CaseFailure, InputError, Problem, render_problems

_JSON_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def check_flags(verb: Callable[..., None], words: Sequence[str]) -> None:
    """Refuse misspelt options before anything runs: Fire would run the verb first and complain afterwards.

    Raises:
        InputError: naming each unknown option and the nearest known one.
    """
    parameters = inspect.signature(verb).parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    any_number = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters.values())
    known = [
        name
        for name, parameter in parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    problems, positional, expects_value = [], 0, False
    for word in words:
        if not word.startswith("--"):
            positional += not expects_value
            expects_value = False
            continue
        flag, _, value = word[2:].partition("=")
        flag = flag.replace("-", "_")
        expects_value = not value
        if not open_ended and flag not in known and not (flag.startswith("no") and flag[2:] in known):
            problems.append(Problem(f"--{flag}", f"is not an option. {nearest_word(flag, known)}"))
    if positional > len(known) and not any_number:
        problems.append(Problem("arguments", f"{positional} were given; expected at most {len(known)}."))
    if problems:
        raise InputError(problems)


def nearest_word(name: str, known: Any) -> str:
    """A sentence after a misspelt word: the nearest known one, and all there are."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]}? " if close else ""
    return f"{hint}Known: {', '.join(known)}."


def warn(warnings: Sequence[Problem]) -> None:
    """Say on stderr what deserves a look but stops nothing."""
    if warnings:
        print(f"Warnings:\n{render_problems(warnings)}\n", file=sys.stderr)


def fail_for(problems: Sequence[Problem], total: int, what: str) -> None:
    """Say how many cases failed and raise CaseFailure, where any did."""
    if problems:
        print(f"{len(problems)} of {total} cases were {what}.", file=sys.stderr)
        raise CaseFailure(problems, total)


def fold_numbers(fold: Any, count: int) -> list[int]:
    """The folds meant by a number, a list of numbers, or "all"."""
    return list(range(count)) if fold == "all" else sequence("fold", fold, int)


def axes(name: str, value: Any, kind: type) -> Any:
    """A value for each axis; a single one serves all three."""
    if value is None:
        return None
    axes = tuple(sequence(name, value, kind))
    return axes * 3 if len(axes) == 1 else axes


def sequence(name: str, value: Any, kind: type) -> list[Any]:
    """A list of numbers or words from what Fire made of "1,2,3", "[1, 2, 3]" or "1"."""
    parts = value.split(",") if isinstance(value, str) else value
    parts = list(parts) if isinstance(parts, (list, tuple)) else [parts]
    if any(isinstance(part, bool) for part in parts):  # an option without a value, or --no in front of it
        raise InputError(Problem(f"--{name}", f"was given no value; expected {kind.__name__} values like 1,2,3."))
    try:
        converted = [kind(part) for part in parts if part != ""]
    except (TypeError, ValueError):
        raise InputError(Problem(f"--{name}", f"is {value!r}; expected {kind.__name__} values like 1,2,3.")) from None
    if kind is int and any(int(part) != float(part) for part in parts if part != ""):
        raise InputError(Problem(f"--{name}", f"is {value!r}; expected whole numbers."))
    return converted


def mapping(name: str, value: Any) -> dict[str, Any] | None:
    """A JSON object from what Fire made of it: a dictionary, or text that it did not understand.

    Raises:
        InputError: it is no object.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise InputError(Problem(f"--{name}", f"is {value!r}, which is not JSON: {error.msg}.")) from None
    if value is None or (isinstance(value, dict) and all(isinstance(key, str) for key in value)):
        return None if value is None else {key: _json_words(one) for key, one in value.items()}
    raise InputError(Problem(f"--{name}", f"is {value!r}; expected a JSON object like '{{\"width\": 16}}'."))


def _json_words(value: Any) -> Any:
    """JSON's true, false and null, which Fire hands over as texts, at any depth."""
    if isinstance(value, dict):
        return {key: _json_words(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_words(one) for one in value]
    return _JSON_WORDS.get(value, value) if isinstance(value, str) else value


def bundle_folder(bundle: str) -> Path:
    """The bundle's folder; refuses what is none."""
    from mist_bundle.bundle.folder import Bundle

    return Bundle(str(bundle)).root


def absolute(value: str | None) -> str | None:
    """An absolute path, so that it means the same in another working directory."""
    return None if value is None else str(Path(str(value)).absolute())


def optional_path(value: str | None) -> Path | None:
    """A Path, or None."""
    return None if value is None else Path(str(value))


def optional_text(value: Any) -> str | None:
    """A word that Fire may have turned into a number."""
    return None if value is None else str(value)
