"""What the verbs share: how warnings, failures and headings are printed, and the commands that are suggested."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mist_bundle.api.bundle import Bundle
from mist_bundle.api.warn import CaseLeftOut, DataWarning
from mist_bundle.dataset.fold_table import FoldTable
from mist_bundle.errors import CaseFailure, Problem, count_paths
from mist_bundle.runtime.wording import inflected


@contextmanager
def printed_warnings() -> Iterator[list[Problem]]:
    """Print the API's warnings on stderr, a line each; cases that were left out are collected instead."""
    left_out: list[Problem] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        print_other = warnings.showwarning

        def show(message: Any, *where: Any, **how: Any) -> None:
            if isinstance(message, CaseLeftOut):
                left_out.append(message.problem)
            elif isinstance(message, DataWarning):
                print(f"warning: {message}", file=sys.stderr)
            else:
                print_other(message, *where, **how)

        warnings.showwarning = show
        yield left_out


def fail_for(problems: Sequence[Problem], total: int, what: str) -> None:
    """If cases failed, print how many and raise CaseFailure."""
    if problems:
        print_count(problems, total, what)
        raise CaseFailure(problems, total)


def print_count(problems: Sequence[Problem], total: int, what: str) -> None:
    """Print how many cases failed."""
    failed = count_paths(problems)
    verb = inflected(failed, "was", "were")
    print(f"{failed} of {total} cases {verb} {what}.", file=sys.stderr)


def print_bundle(bundle: Bundle) -> None:
    """Print the cases of a new bundle, and its place."""
    ids = [case.id for case in bundle.datalist.training]
    span = ", ".join(ids) if len(ids) <= 3 else f"{ids[0]}, {ids[1]} … {ids[-1]}"
    print(f"\nBundle of {bundle.plan.num_cases} cases ({span}): {nearby(bundle.root)}")


def print_folds(table: Mapping[str, Any] | None) -> None:
    """Print what each fold holds."""
    if table:
        print("\nFolds (of a class: the cases with it, and its median volume in these)")
        for line in FoldTable.from_json(table).lines():
            print(f"  {line}")


def next_command(bundle: Bundle, verb: str, *words: str, like: Mapping[str, Any] | None = None) -> str:
    """A command with a bundle; with --trust if it holds the user's own code, which no audit accepts.

    Args:
        bundle: the bundle.
        verb: such as "train".
        words: further arguments.
        like: arguments of the present command, whose --trust and --dataset_dir the next command needs as well.
    """
    from mist_bundle.catalog.choice import is_user_code

    present = like or {}
    plan = bundle.plan if bundle.has_plan else None
    own_code = plan is not None and (is_user_code(plan.network.value) or is_user_code(plan.loss.value))
    command = ["mist-bundle", verb, shlex.quote(str(nearby(bundle.root))), *words]
    if present.get("dataset_dir"):
        command += ["--dataset_dir", shlex.quote(str(nearby(Path(present["dataset_dir"]))))]
    if own_code or present.get("trust"):
        command.append("--trust")
    return " ".join(command)


def nearby(path: Path) -> Path:
    """A path as seen from the working directory, if it lies in it."""
    here = Path.cwd()
    absolute = path.absolute()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else path


def heading(text: str) -> None:
    """Print what comes next, before a process of its own writes to the same terminal."""
    print(f"\n{text}" if sys.stdout.isatty() else text, flush=True)
