"""Everything that mist_bundle raises on purpose, so that a caller learns in ten lines what to catch.

MistBundleError
  * InputError      what the user gave cannot be used; holds every Problem found   (exit code 2)
  * CaseFailure     some cases failed while the others went through, each named    (exit code 1)
  * InstallationError  files of mist_bundle itself are missing                     (exit code 2)
  * Interrupted     a signal asked this process to end; what was finished is kept  (exit code 128 + signal)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

EXIT_OK = 0
EXIT_SOME_CASES_FAILED = 1
EXIT_INPUT_REFUSED = 2
EXIT_INTERRUPTED = 130  # by Ctrl-C; as shells have it, 128 and the number of the signal


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `path` says where (file, key or case), `message` what was found and expected."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class MistBundleError(Exception):
    """Base of all errors raised on purpose."""


class InputError(MistBundleError):
    """The input is refused; nothing was written. Carries all problems at once."""

    def __init__(self, problems: Iterable[Problem] | Problem) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(render_problems(self.problems))


class CaseFailure(MistBundleError):
    """Some cases (or formats, files …) failed. `problems` names each of them; what succeeded has been written."""

    def __init__(self, problems: Sequence[Problem], total: int, what: str = "cases") -> None:
        self.problems = tuple(problems)
        self.total = total
        super().__init__(f"{len(self.problems)} of {total} {what} failed:\n{render_problems(self.problems)}")


class InstallationError(MistBundleError):
    """Files of mist_bundle itself are missing, so that nothing can be said about what the user gave."""


class Interrupted(MistBundleError):
    """A signal asked this process to end. What was finished is kept; the message says how to go on."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number

    @property
    def exit_code(self) -> int:
        """As shells have it: 128 and the number of the signal."""
        return 128 + self.number


class Collecting:
    """Adds the problems of an InputError to a list instead of raising it, so that several checks speak at once."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def __enter__(self) -> None:
        """Nothing is given."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Keep an InputError; everything else goes on its way."""
        if not isinstance(error, InputError):
            return False
        self.problems += error.problems
        return True


def render_problems(problems: Sequence[Problem]) -> str:
    """One line a problem, in the order found."""
    return "\n".join(str(problem) for problem in problems)
