"""What the verbs share: paths, folds, and how warnings and failures are told."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mist_bundle.cli.kinds import ALL
from mist_bundle.errors import CaseFailure, Problem

if TYPE_CHECKING:
    from mist_bundle.planning.plan import Plan


def warn(warnings: Sequence[Problem]) -> None:
    """Say on stderr what deserves a look but stops nothing, one line each."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def fail_for(problems: Sequence[Problem], total: int, what: str) -> None:
    """Say how many cases failed and raise CaseFailure, where any did."""
    if problems:
        print(f"{len(problems)} of {total} cases were {what}.", file=sys.stderr)
        raise CaseFailure(problems, total)


def span(ids: Sequence[str]) -> str:
    """The first and the last of many."""
    return ", ".join(ids) if len(ids) <= 3 else f"{ids[0]}, {ids[1]} … {ids[-1]}"


def fold_numbers(fold: Any, count: int) -> list[int]:
    """The folds meant by a list of numbers or "all"."""
    return list(range(count)) if fold == ALL else list(fold)


def train_command(bundle: Path, plan: Plan) -> str:
    """The command that trains a new bundle; with --trust, where the audit cannot vouch for the user's own code."""
    from mist_bundle.catalog.choice import is_user_code

    trust = " --trust" if is_user_code(plan.network.value) or is_user_code(plan.loss.value) else ""
    return f"mist-bundle train {shlex.quote(str(bundle))} --fold all{trust}"


def heading(text: str) -> None:
    """Say what comes next, before a process of its own writes to the same terminal."""
    print(f"\n{text}" if sys.stdout.isatty() else text, flush=True)


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
