"""The decisions of a plan as a table for people: on the terminal and in the bundle's model card."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable
from typing import Any

from mist_bundle.planning.plan import Plan
from mist_bundle.planning.recipes import NOT_ASKED, RECIPES, by_recipe

Row = tuple[str, str, str]
_BY_RECIPE = frozenset(by_recipe(name) for name in RECIPES)
_MAX_WIDTH = 120
_SILENT_WHEN_OFF = ("distance maps", "composite weighting", "intensity windows", "regions", "loss class weights")
_FIRST = ("network", "loss", "epochs", "batch size", "learning rate")  # what everybody asks for


def decision_rows(plan: Plan) -> list[Row]:
    """(name, value, because) of every decision."""
    return [(name.replace("_", " "), value_text(name, one.value), one.because) for name, one in plan.decisions()]


def is_plain(name: str, because: str) -> bool:
    """Whether a decision deserves no row of its own: nobody asked for anything else, and it is not one of the first."""
    first = name.replace("_", " ") in _FIRST
    return not first and (because == NOT_ASKED or because in _BY_RECIPE)


def decisions_text(plan: Plan, width: int | None = None) -> str:
    """The decisions for a terminal: those with a reason of their own as a table, then the recipe's in a few lines.

    Args:
        plan: what was decided.
        width: characters of a line; by default those of the terminal.
    """
    width = width or max(60, min(_MAX_WIDTH, shutil.get_terminal_size((_MAX_WIDTH, 24)).columns))
    rows = [row for row in decision_rows(plan) if not _is_off(plan, row)]
    plain = ", ".join(f"{name} {value}" for name, value, because in rows if is_plain(name, because))
    text = text_table((row for row in rows if not is_plain(row[0], row[2])), width)
    if not plain:
        return text
    head = f"The rest by recipe {plan.recipe.value!r}: "
    return f"{text}\n\n{textwrap.fill(f'{head}{plain}.', width, break_on_hyphens=False)}"


def _is_off(plan: Plan, row: Row) -> bool:
    """Whether a decision only says that something is not done; nobody needs to read its value."""
    name, value, because = row
    if name == "class weights":
        return not plan.loss_class_weights.value  # measured, and used by nothing
    return value in ("no", "none", "0") and (name in _SILENT_WHEN_OFF or is_plain(name, because))


def _separator(name: str) -> str:
    return " x " if any(word in name for word in ("spacing", "shape", "size")) else ", "


def text_table(rows: Iterable[Row], width: int = 120) -> str:
    """Three aligned columns; the reason wraps within `width` characters."""
    rows = list(rows)
    first = max(len(row[0]) for row in rows)
    second = min(36 if width > 100 else 20, max(len(row[1]) for row in rows))
    indent = " " * (first + second + 4)
    lines = []
    for name, value, because in rows:
        head = f"{name:<{first}}  {value:<{second}}  "
        body = textwrap.wrap(because, max(30, width - len(indent))) or [""]
        # a value longer than its column pushes the reason to the next line
        lines.append(head + body[0] if len(value) <= second else f"{head.rstrip()}\n{indent}{body[0]}")
        lines += [indent + line for line in body[1:]]
    return "\n".join(lines)


def markdown_table(rows: Iterable[Row]) -> str:
    """The same as Markdown."""
    head = ["| decision | value | because |", "|---|---|---|"]
    return "\n".join(head + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows])


def _value(value: Any, separator: str = ", ") -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(one)}" for key, one in value.items())
    if isinstance(value, (tuple, list)):
        return separator.join(_value(one) for one in value) or "none"
    return str(value)


def value_text(name: str, value: Any) -> str:
    """The value of a decision as these tables show it; also for values that came out of plan.json."""
    return _value(value, _separator(name))
