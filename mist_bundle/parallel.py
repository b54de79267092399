"""The one pool, the one progress bar and the one failure policy of all per-case work.

A case that raises becomes a named Problem and the others go on; who calls decides what that means for the exit code.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tqdm import tqdm

from mist_bundle.errors import InputError, InstallationError, Problem

_ANSWER_SECONDS = 2.0  # in which a Dask scheduler has to accept a connection

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class CaseResults(Generic[Result]):
    """Results in the order of the items (failed ones left out), and one Problem for each failed item."""

    results: list[Result] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def map_cases(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    name: Callable[[Item], str] = str,
    workers: int | str = 1,
    description: str = "",
    progress: bool | None = None,
) -> CaseResults[Result]:
    """Apply `function` to every item, in parallel, with a progress bar on stderr.

    Args:
        function: a picklable function of one item. An exception it raises fails that item only.
        items: what to work on.
        name: how an item is called in a Problem.
        workers: number of local processes (1 = in this process), or the address of a Dask scheduler ("tcp://host:port").
        description: the label of the progress bar.
        progress: show the bar; None shows it when stderr is a terminal or there is much to do.
    """
    outcomes: list[Result | Problem] = [_PENDING] * len(items)
    for index, outcome in _bar(_outcomes(function, items, name, workers), len(items), description, progress):
        outcomes[index] = outcome
    return CaseResults(
        results=[outcome for outcome in outcomes if not isinstance(outcome, Problem)],
        problems=[outcome for outcome in outcomes if isinstance(outcome, Problem)],
    )


_PENDING = Problem("case", "was never run")


def _outcomes(
    function: Callable[[Item], Result], items: Sequence[Item], name: Callable[[Item], str], workers: int | str
) -> Iterator[tuple[int, Result | Problem]]:
    if isinstance(workers, int) and (workers <= 1 or len(items) <= 1):
        for index, item in enumerate(items):
            yield index, _attempt(function, item, name(item))
        return
    with _executor(workers) as executor:
        futures: dict[Future[Result | Problem], int] = {
            executor.submit(_attempt, function, item, name(item)): index for index, item in enumerate(items)
        }
        for future in as_completed(futures):
            index = futures[future]
            error = future.exception()  # a worker that died (killed for memory, say) raises here, not in _attempt
            if isinstance(error, InstallationError):
                raise error
            yield index, future.result() if error is None else _problem(name(items[index]), error)


def _attempt(function: Callable[[Item], Result], item: Item, name: str) -> Result | Problem:
    try:
        return function(item)
    except InstallationError:
        raise  # no case can be blamed for it
    except Exception as error:  # noqa: BLE001  the one place where any failure of a case is turned into its name
        return _problem(name, error)


def _problem(name: str, error: BaseException) -> Problem:
    if isinstance(error, InputError):
        return Problem(name, "; ".join(str(problem) for problem in error.problems))
    return Problem(name, f"{type(error).__name__}: {error}")


@contextmanager
def _executor(workers: int | str) -> Iterator[Executor]:
    if isinstance(workers, str):
        with _dask_executor(workers) as executor:
            yield executor
        return
    # forkserver: neither the threads of torch or DALI nor their locks are inherited, unlike with fork
    method = "forkserver" if sys.platform.startswith("linux") else "spawn"
    context = multiprocessing.get_context(method)
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_limit_threads, initargs=(threads,)) as executor:
        yield executor


def _limit_threads(threads: str) -> None:
    # a pool of processes that each start a thread per core is slower than either alone
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ.setdefault(variable, threads)


@contextmanager
def _dask_executor(address: str) -> Iterator[Executor]:
    try:
        from dask.distributed import Client
    except ImportError as error:
        message = f"--workers {address} names a Dask scheduler; install it with: pip install distributed"
        raise InputError(Problem("--workers", message)) from error
    _check_reachable(address)
    with Client(address) as client:
        yield client.get_executor()


def _check_reachable(address: str) -> None:
    """Refuse the address of a scheduler that nobody answers at; Dask itself would try for half a minute."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        message = f"is {address!r}, but no scheduler answers there ({error}). Start one with `dask scheduler`."
        raise InputError(Problem("--workers", message)) from error


def _bar(outcomes: Iterable[Result], total: int, description: str, progress: bool | None) -> Iterator[Result]:
    shown = sys.stderr.isatty() if progress is None else progress
    yield from tqdm(outcomes, total=total, desc=description, unit="case", disable=not shown, file=sys.stderr)
