"""Reading what other programs wrote: a value of another kind is a problem with a place, not a traceback."""

from __future__ import annotations

from types import TracebackType

from mist_bundle.errors import InputError, Problem

_UNLIKE = (KeyError, TypeError, ValueError, AttributeError, IndexError)


class Understanding:
    """Context manager that turns errors about values of another kind into a problem.

    Args:
        place: the file or key that is read, for the message.
        program: the program that should have written it.
        problems: the problem is added here, as are those of an InputError; None raises it.
    """

    def __init__(self, place: str, program: str, problems: list[Problem] | None = None) -> None:
        self.place = place
        self.program = program
        self.problems = problems

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Keep the problem; let every other exception pass."""
        if isinstance(error, InputError):
            if self.problems is None:
                return False
            self.problems += error.problems
            return True
        if not isinstance(error, _UNLIKE):
            return False
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        problem = Problem(self.place, f"cannot be understood ({what}); expected what {self.program} writes.")
        if self.problems is None:
            raise InputError(problem) from error
        self.problems.append(problem)
        return True
