"""The pool, the progress bar and the failure policy of all per-case work.

A case that raises an exception becomes a named Problem while the others continue; the caller decides about the exit
code. If a process dies, its unfinished cases are repeated, so that no other case is lost.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from mist_bundle.errors import InputError, InstallationError, Problem
from mist_bundle.runtime.numerics.cores import available_cores
from mist_bundle.runtime.numerics.memory import free_memory

START_SECONDS = 2.0  # until a new process has imported what a case needs
WORKER_BYTES = 2**30  # that a process takes at most, unless its cases are larger
TRIAL_CASES = 2  # that are timed before it is decided whether processes are worth their start
DIED = (
    "the process that worked on it died twice (perhaps killed because it used too much memory); the other cases "
    "continued."
)

Item = TypeVar("Item")
Result = TypeVar("Result")
Workers = int | str | None


@dataclass(slots=True)
class CaseResults(Generic[Result]):
    """Results in the order of the items (without those that failed), and a Problem for each failed item."""

    results: list[Result] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Job(Generic[Item]):
    """An item with its index and its name."""

    index: int
    item: Item
    name: str


def map_cases(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    name: Callable[[Item], str] = str,
    workers: Workers = None,
    description: str = "",
    progress: bool | None = None,
    case_bytes: float = 0.0,
) -> CaseResults[Result]:
    """Apply `function` to every item, in parallel, with a progress bar on stderr.

    Args:
        function: a picklable function of an item. An exception fails only that item.
        items: arguments of the function.
        name: name of an item in a Problem.
        workers: number of local processes (1 = in this process), the address of a Dask scheduler ("tcp://host:port"),
            or None for as many as `cases_at_a_time` allows, if starting them pays.
        description: label of the progress bar.
        progress: show the bar; None shows it if stderr is a terminal.
        case_bytes: memory that a case takes, if it may be more than WORKER_BYTES.
    """
    jobs = []
    for index, item in enumerate(items):
        jobs.append(Job(index=index, item=item, name=name(item)))
    outcomes: list[Result | Problem] = [_PENDING] * len(jobs)
    for index, outcome in _bar(_outcomes(function, jobs, workers, case_bytes), len(jobs), description, progress):
        outcomes[index] = outcome
    done = CaseResults[Result]()
    for outcome in outcomes:
        if isinstance(outcome, Problem):
            done.problems.append(outcome)
        else:
            done.results.append(outcome)
    return done


def cases_at_a_time(cases: int, case_bytes: float = 0.0) -> int:
    """Cases that are worked on at the same time by default: as many as there are, and cores and free memory allow.

    Args:
        cases: how many there are.
        case_bytes: memory that a case takes; at least WORKER_BYTES are counted.
    """
    by_memory = free_memory() / max(case_bytes, WORKER_BYTES)
    return int(max(1, min(available_cores(), by_memory, cases)))


def attempt(function: Callable[[Item], Result], job: Job[Item]) -> tuple[int, Result | Problem]:
    """The index of a job and its result, or a Problem if it fails."""
    try:
        return job.index, function(job.item)
    except InstallationError:
        raise  # no case can be blamed for it
    except Exception as error:  # noqa: BLE001  the only place where any failure of a case becomes a Problem
        return job.index, as_problem(job.name, error)


def as_problem(name: str, error: BaseException) -> Problem:
    """A failure under the name of its case."""
    if isinstance(error, InputError):
        return Problem(name, " ".join(str(problem) for problem in error.problems))
    return Problem(name, f"{type(error).__name__}: {error}")


_PENDING = Problem("case", "was never run")
_DIED = Problem("case", "ended its process")
_Outcome = tuple[int, Any]


def _outcomes(
    function: Callable[[Any], Any], jobs: Sequence[Job[Any]], workers: Workers, case_bytes: float
) -> Iterator[_Outcome]:
    attempting = partial(attempt, function)
    if isinstance(workers, str):
        from mist_bundle.cluster import run_on_cluster

        yield from run_on_cluster(attempting, jobs, workers)
        return
    count = cases_at_a_time(len(jobs), case_bytes) if workers is None else workers
    left = list(jobs)
    if workers is None:
        yield from _while_processes_do_not_pay(attempting, left, count)
    if count <= 1 or len(left) <= 1:
        yield from map(attempting, left)
        return
    yield from _in_processes(attempting, left, min(count, len(left)))


def _while_processes_do_not_pay(
    attempting: Callable[[Job[Any]], _Outcome], left: list[Job[Any]], processes: int
) -> Iterator[_Outcome]:
    """Outcomes of jobs in this process until starting processes pays; removes the finished jobs from `left`."""
    seconds: list[float] = []
    while left:
        # the first case does not count: it includes imports
        if len(seconds) >= TRIAL_CASES and _pays(min(seconds[1:]), len(left), processes):
            return
        start = time.perf_counter()
        yield attempting(left.pop(0))
        seconds.append(time.perf_counter() - start)


def _pays(seconds: float, cases: int, processes: int) -> bool:
    """Whether new processes would be done sooner than this process alone."""
    return START_SECONDS + cases * seconds / processes < cases * seconds


def _in_processes(
    attempting: Callable[[Job[Any]], _Outcome], jobs: Sequence[Job[Any]], workers: int
) -> Iterator[_Outcome]:
    """All outcomes, whatever dies: the second time with half the processes, the third time job by job."""
    left = {job.index: job for job in jobs}
    for count in (workers, -(-workers // 2)):
        for outcome in _finished(attempting, list(left.values()), count):
            del left[outcome[0]]
            yield outcome
        if not left:
            return
    suspects: set[int] = set()
    while left:
        for index, outcome in _one_at_a_time(attempting, list(left.values())):
            if outcome is _DIED and index not in suspects:
                suspects.add(index)  # something else may have killed the process
                continue
            name = left.pop(index).name
            yield index, Problem(name, DIED) if outcome is _DIED else outcome


def _finished(attempting: Callable[[Job[Any]], _Outcome], jobs: Sequence[Job[Any]], workers: int) -> Iterator[_Outcome]:
    """The outcomes of all jobs, or of those that finished before a process died."""
    with _pool(workers) as executor:
        futures: dict[Future[_Outcome], Job[Any]] = {}
        with _main_left_out():
            for job in jobs:
                futures[executor.submit(attempting, job)] = job
        for future in as_completed(futures):
            error = future.exception()
            if error is None:
                yield future.result()
            elif isinstance(error, InstallationError):
                raise error
            elif not isinstance(error, BrokenProcessPool):  # the result cannot be pickled
                yield futures[future].index, as_problem(futures[future].name, error)


def _one_at_a_time(attempting: Callable[[Job[Any]], _Outcome], jobs: Sequence[Job[Any]]) -> Iterator[_Outcome]:
    """The outcomes up to and including the first job that kills its process."""
    with _pool(1) as executor:
        for job in jobs:
            try:
                with _main_left_out():
                    future = executor.submit(attempting, job)
                yield future.result()
            except BrokenProcessPool:
                yield job.index, _DIED
                return


def _pool(workers: int) -> ProcessPoolExecutor:
    # forkserver: neither the threads of torch or DALI nor their locks are inherited, unlike with fork
    method = "forkserver" if sys.platform.startswith("linux") else "spawn"
    context = multiprocessing.get_context(method)
    threads = str(max(1, available_cores() // workers))
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_limit_threads, initargs=(threads,))


@contextmanager
def _main_left_out() -> Iterator[None]:
    """Start processes that do not run the user's script again: without `if __name__ == "__main__"` it would start more.

    The functions that are mapped are those of this package, so no process needs the script.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _limit_threads(threads: str) -> None:
    # processes with a thread per core each would slow each other down
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ.setdefault(variable, threads)


def _bar(outcomes: Iterable[Result], total: int, description: str, progress: bool | None) -> Iterator[Result]:
    shown = sys.stderr.isatty() if progress is None else progress
    yield from tqdm(outcomes, total=total, desc=description, unit="case", disable=not shown, file=sys.stderr)
