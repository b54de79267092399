"""Files of a case are written in the background, while the next case is read and computed.

At most a single case waits: handing in the files of another case blocks until those before are on the disk. So memory
holds the case that is written, the case that is computed and the case that is read.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait


class CaseWriter:
    """Runs the steps that write the files of each case, in their order, in a thread of its own."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._case = ""
        self._steps: list[Future[None]] = []
        self._errors: dict[str, BaseException] = {}

    def put(self, case: str, step: Callable[[], object]) -> None:
        """Write a file of a case soon; the files of other cases are complete when this returns.

        After a step has failed, those of the same case that follow are left out: the last of them would make the case
        look complete.
        """
        if case != self._case:
            self.settle()
            self._case = case
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="write-case")
        self._steps.append(self._pool.submit(self._run, case, step))

    def settle(self) -> None:
        """Wait until everything that was handed in is written, or has failed."""
        wait(self._steps)
        self._steps.clear()

    def stop(self) -> None:
        """Finish the file in hand, whole as files are, and forget those that wait."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        self._steps.clear()

    def take_errors(self) -> dict[str, BaseException]:
        """What went wrong since the last call, by case."""
        errors, self._errors = self._errors, {}
        return errors

    def _run(self, case: str, step: Callable[[], object]) -> None:
        if case in self._errors:
            return
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - the main thread takes it
            self._errors[case] = error
