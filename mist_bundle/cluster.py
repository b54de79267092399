"""Cases on a Dask cluster: any number of machines that share the files' paths and have mist-bundle installed."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mist_bundle.errors import InputError, InstallationError, Problem

ANSWER_SECONDS = 2.0  # in which a scheduler has to accept a connection
JOIN_SECONDS = 20.0  # in which its first worker has to be there


def run_on_cluster(
    attempting: Callable[[Any], tuple[int, Any]], jobs: Sequence[Any], address: str
) -> Iterator[tuple[int, Any]]:
    """(place, outcome) of every job, as they come in. Unfinished jobs of a worker that died go to another worker.

    Args:
        attempting: a picklable function of a job.
        jobs: with `index` and `name`.
        address: of the scheduler, "tcp://host:port".

    Raises:
        InputError: no scheduler answers, it has no workers, or these lack mist_bundle.
    """
    distributed = _import_distributed(address)
    _check_reachable(address)
    with distributed.Client(address, timeout=f"{JOIN_SECONDS:.0f}s") as client:
        _check_workers(client, address)
        sys.stderr.write(f"Dask: {client.dashboard_link}\n")
        sys.stderr.flush()
        there = partial(_in_folder, attempting, Path.cwd())
        names = {}
        for job in jobs:
            # pure=False: the same arguments may stand for other files by now
            names[client.submit(there, job, pure=False, retries=2)] = job
        for future in distributed.as_completed(names):
            yield _outcome(future, names.pop(future))


def _in_folder(attempting: Callable[[Any], Any], folder: Path, job: Any) -> Any:
    """Attempt a job in the folder to which the user's relative paths refer."""
    if Path.cwd() != folder:
        os.chdir(folder)
    return attempting(job)


def _outcome(future: Any, job: Any) -> tuple[int, Any]:
    error = future.exception()
    if error is None:
        outcome: tuple[int, Any] = future.result()
        return outcome
    if isinstance(error, InstallationError):
        raise error
    return job.index, Problem(job.name, f"{type(error).__name__}: {error}")


def _import_distributed(address: str) -> Any:
    try:
        import distributed
    except ImportError as error:
        message = f"is {address}, a Dask scheduler, but Dask is not installed here: pip install 'mist-bundle[dask]'."
        raise InputError(Problem("--workers", message)) from error
    return distributed


def _check_reachable(address: str) -> None:
    """Refuse the address of a scheduler that nobody answers at; Dask itself would try for half a minute."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        message = f"is {address!r}, but no scheduler answers there ({error}). Start one with `dask scheduler`."
        raise InputError(Problem("--workers", message)) from error


def _check_workers(client: Any, address: str) -> None:
    """Refuse a scheduler whose work nobody does, or could not do."""
    try:
        client.wait_for_workers(1, timeout=JOIN_SECONDS)
    except TimeoutError as error:
        message = f"is {address!r}, whose scheduler has no workers. Start some: dask worker {address}"
        raise InputError(Problem("--workers", message)) from error
    # a worker that dies just now gives no answer; its work goes to the others
    answers = client.run(_has_mist_bundle, on_error="ignore")
    without = [worker for worker, there in answers.items() if not there]
    if without:
        message = f"is {address!r}, where mist_bundle is not installed on {', '.join(without)}. Install it there."
        raise InputError(Problem("--workers", message))


def _has_mist_bundle() -> bool:
    import importlib.util

    return importlib.util.find_spec("mist_bundle") is not None
