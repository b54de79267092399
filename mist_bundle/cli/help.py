"""What --help and the overview say, read from the verbs themselves: their signatures and docstrings."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

PROGRAM = "python -m mist_bundle"
EXAMPLES = {
    "autoconfig": "data/dataset.json --output out --recipe quick --epochs 20",
    "run_all": "data/dataset.json --output out --recipe quick --folds 2",
    "analyze": "data/dataset.json --output look",
    "preprocess": "out/organs_segmentation --workers 4",
    "train": "out/organs_segmentation --fold all --epochs 50",
    "evaluate": "--reference labels --prediction predictions --classes data/dataset.json --output results.csv",
    "predict": "out/organs_segmentation --input new_cases --output predictions",
    "report": "out/organs_segmentation --overwrite",
    "finetune": "hippocampus_segmentation new_data/dataset.json --output out",
    "postprocess": "predictions --strategy strategy.json --output cleaned",
    "convert_msd": "--source Task04_Hippocampus --output data",
    "convert_csv": "--source cases.csv --output data",
    "phantom": "data --kind ct",
}
_MAX_WIDTH = 110
_MARGIN = 28  # columns before an option's explanation
# options that are words of several numbers, or whatever the verb makes of them, have no type worth showing
_KINDS = {"int": "NUMBER", "float": "NUMBER", "str": "TEXT", "bool": "", "Any": "VALUE"}


def overview(groups: Mapping[str, Sequence[Callable[..., None]]]) -> str:
    """All verbs by what they are for, and two commands to begin with."""
    width = _width()
    names = max(len(verb.__name__) for verbs in groups.values() for verb in verbs)
    lines = [
        "mist-bundle: from a data set of 3D medical images to a MONAI bundle that trains, evaluates and predicts.",
        "",
        f"usage: {PROGRAM} COMMAND …     (COMMAND --help explains its options)",
        "",
        "To see it work on made-up images, in some minutes:",
        f"  {PROGRAM} phantom data",
        f"  {PROGRAM} run_all data/dataset.json --output out --recipe quick --folds 2 --epochs 3 --steps_per_epoch 40",
    ]
    for title, verbs in groups.items():
        lines += ["", f"{title}:"]
        for verb in verbs:
            summary = _docstring(verb)[0].split("\n", 1)[0]
            lines += _columns(f"  {verb.__name__}", summary, names + 4, width)
    return "\n".join(lines)


def help_text(verb: Callable[..., None]) -> str:
    """Usage, what the verb does, an example, and its options with their defaults."""
    width = _width()
    about, explained = _docstring(verb)
    parameters = inspect.signature(verb).parameters.values()
    required = [one for one in parameters if _is_required(one)]
    options = [one for one in parameters if not _is_required(one)]
    usage = [f"usage: {PROGRAM} {verb.__name__}", *map(_flag, required)]
    paragraphs = [textwrap.fill(" ".join(one.split()), width) for one in about.split("\n\n")]
    lines = [" ".join([*usage, "[OPTIONS]"] if options else usage), "", "\n\n".join(paragraphs)]
    if verb.__name__ in EXAMPLES:
        lines += ["", f"example: {PROGRAM} {verb.__name__} {EXAMPLES[verb.__name__]}"]
    for title, group in (("arguments", required), ("options", options)):
        if group:
            lines += ["", f"{title}:"]
        for one in group:
            words = explained.get(one.name, "")
            lines += _columns(f"  {_flag(one)}", f"{words}{_default(one)}", _MARGIN, width)
    named = [f"--{one.name} …" for one in required if one.kind is not one.VAR_POSITIONAL]
    if named:
        lines += ["", f"Arguments may also be given by name: {' '.join(named)}"]
    return "\n".join(lines)


def _width() -> int:
    return min(_MAX_WIDTH, shutil.get_terminal_size((_MAX_WIDTH, 24)).columns)


def _columns(head: str, words: str, margin: int, width: int) -> Iterator[str]:
    lines = textwrap.wrap(words, max(30, width - margin), break_on_hyphens=False) or [""]
    if len(head) >= margin:  # too long for its column
        yield head
    else:
        yield f"{head:<{margin}}{lines.pop(0)}".rstrip()
    yield from (" " * margin + line for line in lines)


def _docstring(verb: Callable[..., None]) -> tuple[str, dict[str, str]]:
    """What stands before "Args:", and the explanation of each parameter."""
    about, _, arguments = (inspect.getdoc(verb) or "").partition("\nArgs:\n")
    explained: dict[str, str] = {}
    name = ""
    for line in arguments.splitlines():
        start = re.match(r" {4}\*{0,2}(\w+): (.*)", line)
        if start:
            name = start[1]
            explained[name] = start[2]
        elif name and line.startswith(" " * 8):
            explained[name] += f" {line.strip()}"
        else:
            break
    return about.strip(), explained


def _is_required(one: inspect.Parameter) -> bool:
    return one.kind is one.VAR_POSITIONAL or (
        one.default is one.empty and one.kind in (one.POSITIONAL_OR_KEYWORD, one.POSITIONAL_ONLY)
    )


def _flag(one: inspect.Parameter) -> str:
    if one.kind is one.VAR_KEYWORD:
        return "--KEY VALUE …"
    if one.kind is one.VAR_POSITIONAL:
        return f"{one.name.upper()} …"
    if _is_required(one):
        return one.name.upper()
    if one.default is True or one.annotation == "bool | None":
        return f"--[no]{one.name}"
    kind = _KINDS.get(str(one.annotation).removesuffix(" | None"), "VALUE")
    return f"--{one.name} {kind}".rstrip()


def _default(one: inspect.Parameter) -> str:
    value: Any = one.default
    if value is True:
        return " [on]"
    if value is one.empty or value is None or value is False:
        return ""
    return f" [{value}]"
