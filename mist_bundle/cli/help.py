"""The texts of --help and of the overview, read from the verbs themselves: their signatures and docstrings."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

from mist_bundle.api.arguments import Argument, arguments_of, docstring_parts
from mist_bundle.runtime.values import Switch

PROGRAM = "mist-bundle"
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
    "convert_labels": "--source Totalsegmentator_dataset --output data --labels liver,spleen",
    "convert_bids": "--source ds000001 --output data --images T1w,FLAIR",
    "phantom": "data --kind ct",
}
_MAX_WIDTH = 110
_MARGIN = 28  # columns before an option's explanation


def overview(groups: Mapping[str, Sequence[Callable[..., None]]]) -> str:
    """All verbs by their purpose, and two commands to begin with."""
    width = _width()
    lines = [
        "mist-bundle: from a dataset of 3D medical images to a MONAI bundle that trains, evaluates and predicts.",
        "",
        f"usage: {PROGRAM} COMMAND …     ({PROGRAM} help COMMAND explains its options)",
        "",
        "To try it on synthetic images, in a few minutes:",
        f"  {PROGRAM} phantom data",
        f"  {PROGRAM} run_all data/dataset.json --output out --recipe quick --folds 2 --epochs 3 --steps_per_epoch 40",
    ]
    titles = max(map(len, groups)) + 2
    lines += ["", "Commands:"]
    for title, verbs in groups.items():
        lines += _columns(f"  {title}", ", ".join(verb.__name__ for verb in verbs), titles + 2, width)
    return "\n".join(lines)


def help_text(verb: Callable[..., None]) -> str:
    """Usage, purpose, an example, and the options with their defaults."""
    width = _width()
    about, _ = docstring_parts(verb)
    arguments = arguments_of(verb)
    required: list[Argument] = []
    options: list[Argument] = []
    for argument in arguments:
        (required if argument.required else options).append(argument)
    usage = [f"usage: {PROGRAM} {verb.__name__}", *map(_flag, required)]
    paragraphs = []
    for paragraph in about.split("\n\n"):
        paragraphs.append(textwrap.fill(" ".join(paragraph.split()), width))
    lines = [" ".join([*usage, "[OPTIONS]"] if options else usage), "", "\n\n".join(paragraphs)]
    if verb.__name__ in EXAMPLES:
        lines += ["", f"example: {PROGRAM} {verb.__name__} {EXAMPLES[verb.__name__]}"]
    for title, group in (("arguments", required), ("options", options)):
        if group:
            lines += ["", f"{title}:"]
        for argument in group:
            lines += _columns(f"  {_flag(argument)}", f"{argument.about}{_default(argument)}", _MARGIN, width)
    named = []
    for argument in required:
        if argument.passing is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            named.append(f"--{argument.name} …")
    if named:
        lines += ["", f"Arguments may also be named: {' '.join(named)}"]
    return "\n".join(lines)


def _width() -> int:
    return min(_MAX_WIDTH, shutil.get_terminal_size((_MAX_WIDTH, 24)).columns)


def _columns(head: str, words: str, margin: int, width: int) -> Iterator[str]:
    lines = textwrap.wrap(words, max(30, width - margin), break_on_hyphens=False) or [""]
    if len(head) >= margin:  # too long for its column
        yield head
    else:
        yield f"{head:<{margin}}{lines.pop(0)}".rstrip()
    for line in lines:
        yield " " * margin + line


def _flag(argument: Argument) -> str:
    if argument.passing is inspect.Parameter.VAR_KEYWORD:
        return "--KEY VALUE …"
    if argument.passing is inspect.Parameter.VAR_POSITIONAL:
        return f"{argument.name.upper()} …"
    if argument.required and argument.passing is inspect.Parameter.KEYWORD_ONLY:
        return f"--{argument.name} {argument.name.upper()}"
    if argument.required:
        return argument.name.upper()
    if isinstance(argument.kind, Switch) and argument.default is not False:
        return f"--[no]{argument.name}"
    return f"--{argument.name} {argument.kind.shown}".rstrip()


def _default(argument: Argument) -> str:
    value = argument.default
    if value is True:
        return " [on]"
    if value is inspect.Parameter.empty or value is None or value is False:
        return ""
    return f" [{','.join(map(str, value))}]" if isinstance(value, tuple) else f" [{value}]"
