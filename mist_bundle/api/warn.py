"""Warnings of the API: oddities that stop nothing."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable

from mist_bundle.errors import MistBundleError, Problem

_PACKAGE = "mist_bundle."


class DataWarning(UserWarning):
    """Something in the data deserves a look and stops nothing.

    Attributes:
        problem: the file, key or case, and what is odd about it.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class CaseLeftOut(DataWarning):
    """A case was left out, with the reason; the others are used."""


def warn(problems: Iterable[Problem], kind: type[DataWarning] = DataWarning) -> None:
    """Issue a warning for each problem, in the name of the code outside this package that called the API."""
    level = _frames_of_this_package()
    for problem in problems:
        warnings.warn(kind(problem), stacklevel=level)


def warn_before_failure(error: MistBundleError) -> None:
    """Issue the warnings that a failure carries, once."""
    problems, error.warnings = error.warnings, ()
    warn(problems)


def _frames_of_this_package() -> int:
    """Frames from the caller of this function up to the first outside the package."""
    frame = inspect.currentframe()
    level = 0
    while frame is not None and str(frame.f_globals.get("__name__")).startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level
