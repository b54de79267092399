"""The exceptions of mist_bundle.

MistBundleError
  * InputError         the input cannot be used; carries all of its problems       (exit code 2)
  * CaseFailure        some cases failed, each of them named; the others succeeded (exit code 1)
  * InstallationError  files of mist_bundle itself are missing                     (exit code 2)
  * Interrupted        a signal ended the process; finished work is kept           (exit code 128 + signal)
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

EXIT_OK = 0
EXIT_SOME_CASES_FAILED = 1
EXIT_INPUT_REFUSED = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of the input: `path` says where (file, key or case), `message` what is wrong and what is expected."""

    path: str
    message: str

    def __str__(self) -> str:
        path = self.path if self.path.isprintable() else ascii(self.path)  # a name may hold line breaks
        return f"{path}: {self.message}"


class MistBundleError(Exception):
    """Base class of all exceptions that mist_bundle raises deliberately.

    Attributes:
        warnings: oddities that had been noticed before the failure; the API issues them before it raises.
    """

    warnings: tuple[Problem, ...] = ()


class InputError(MistBundleError):
    """The input is refused and nothing was written. Carries all problems at once."""

    def __init__(self, problems: Iterable[Problem] | Problem) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(render_problems(self.problems))


class CaseFailure(MistBundleError):
    """Some cases (or formats, files …) failed. `problems` names each of them; the others have been written."""

    def __init__(
        self, problems: Sequence[Problem], total: int, what: str = "cases", warnings: Iterable[Problem] = ()
    ) -> None:
        self.problems = tuple(problems)
        self.total = total
        self.warnings = tuple(warnings)
        super().__init__(f"{count_paths(self.problems)} of {total} {what} failed:\n{render_problems(self.problems)}")


class InstallationError(MistBundleError):
    """Files of mist_bundle itself are missing; the input is not to blame."""


class Interrupted(MistBundleError):
    """A signal ended the process. Finished work is kept.

    Args:
        number: of the signal.
        kept: sentences that say what was interrupted, and what is kept.
        command: the words of the command that continues, where it is known.
    """

    def __init__(self, number: int, kept: str, command: Sequence[str] = ()) -> None:
        super().__init__(f"{kept} Continue with: {shlex.join(command)}" if command else kept)
        self.number = number
        self.kept = kept
        self.command = tuple(command)

    @property
    def exit_code(self) -> int:
        """128 plus the number of the signal, as in shells."""
        return 128 + self.number


class Collecting:
    """Context manager that adds the problems of an InputError to a list instead of raising it.

    Several checks can then report all their problems together.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Keep the problems of an InputError; let every other exception pass."""
        if not isinstance(error, InputError):
            return False
        self.problems += error.problems
        return True


def count_paths(problems: Iterable[Problem]) -> int:
    """Number of the cases (or files) that have problems: one with several problems counts once."""
    return len({problem.path for problem in problems})


def render_problems(problems: Sequence[Problem]) -> str:
    """The problems as text, a line each."""
    return "\n".join(map(str, problems))


def problems_of(path: str, messages: Iterable[str]) -> list[Problem]:
    """A Problem with the same path for each message."""
    return [Problem(path, message) for message in messages]
