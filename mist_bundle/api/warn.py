"""Warnings of the API: oddities that stop nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from mist_bundle.errors import Problem


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
    """Issue a warning for each problem, in the name of the function that called the API."""
    for problem in problems:
        warnings.warn(kind(problem), stacklevel=3)
