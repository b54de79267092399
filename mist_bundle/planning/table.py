"""The decisions of a plan as a table for people: on the terminal and in the bundle's model card."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable
from typing import Any

from mist_bundle.planning.plan import Plan
from mist_bundle.planning.recipes import OFF, RECIPES, by_recipe

Row = tuple[str, str, str]
_BY_RECIPE = frozenset(map(by_recipe, RECIPES))
_MAX_WIDTH = 120
_SILENT_WHEN_OFF = ("distance maps", "composite weighting", "intensity windows", "regions", "loss class weights")
_FIRST = ("network", "loss", "epochs", "batch size", "learning rate")  # of interest to everybody


def decision_rows(plan: Plan) -> list[Row]:
    """Return (name, value, because) of every decision."""
    rows = []
    for name, decision in plan.decisions():
        rows.append((name.replace("_", " "), value_text(name, decision.value), decision.because))
    return rows


def is_plain(name: str, because: str) -> bool:
    """Return whether a decision needs no row: it is the recipe's default and not among the most important."""
    if name.replace("_", " ") in _FIRST:
        return False
    return because == OFF or because in _BY_RECIPE


def decisions_text(plan: Plan, width: int | None = None) -> str:
    """Format the decisions for a terminal: those with a reason as a table, then the recipe's defaults in a few lines.

    Args:
        plan: the plan.
        width: characters of a line; by default the width of the terminal.
    """
    if width is None:
        columns = shutil.get_terminal_size((_MAX_WIDTH, 24)).columns
        width = max(60, min(_MAX_WIDTH, columns))
    rows: list[Row] = []
    defaults: list[str] = []
    for row in decision_rows(plan):
        name, value, because = row
        if _is_off(plan, row):
            continue
        if is_plain(name, because):
            defaults.append(f"{name} {value}")
        else:
            rows.append(row)
    text = text_table(rows, width)
    if not defaults:
        return text
    rest = f"The rest by recipe {plan.recipe.value!r}: {', '.join(defaults)}."
    return f"{text}\n\n{textwrap.fill(rest, width, break_on_hyphens=False)}"


def _is_off(plan: Plan, row: Row) -> bool:
    """Whether a decision only says that something is not done, so that nobody needs to read its value."""
    name, value, because = row
    if name == "class weights":
        return not plan.loss_class_weights.value  # measured but not used
    return value in ("no", "none", "0") and (name in _SILENT_WHEN_OFF or is_plain(name, because))


def _separator(name: str) -> str:
    return " x " if any(word in name for word in ("spacing", "shape", "size")) else ", "


def text_table(rows: Iterable[Row], width: int = 120) -> str:
    """Format rows as three aligned columns; the reason wraps within `width` characters."""
    rows = list(rows)
    names, values, _ = zip(*rows, strict=True)
    first = max(map(len, names))
    second = min(max(map(len, values)), 36 if width > 100 else 20)
    indent = " " * (first + second + 4)
    lines = []
    for name, value, because in rows:
        head = f"{name:<{first}}  {value:<{second}}  "
        if len(value) > second:  # a value longer than its column pushes the reason to the next line
            lines.append(head.rstrip())
            head = indent
        reason = textwrap.wrap(because, max(30, width - len(indent))) or [""]
        for line in reason:
            lines.append(head + line)
            head = indent
    return "\n".join(lines)


def markdown_table(rows: Iterable[Row]) -> str:
    """Format rows as a Markdown table."""
    lines = ["| decision | value | because |", "|---|---|---|"]
    for row in rows:
        name, value, because = (cell.replace("|", "\\|") for cell in row)
        lines.append(f"| {name} | {value} | {because} |")
    return "\n".join(lines)


def _value(value: Any, separator: str = ", ") -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(entry)}" for key, entry in value.items())
    if isinstance(value, (tuple, list)):
        return separator.join(map(_value, value)) or "none"
    return str(value)


def value_text(name: str, value: Any) -> str:
    """Format the value of a decision as these tables show it; also works for values read from plan.json."""
    return _value(value, _separator(name))
