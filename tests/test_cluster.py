"""Cases on a Dask cluster: what cannot be used is said at once, and a worker's death costs no case."""

from __future__ import annotations

import os
import socket
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from mist_bundle.errors import InputError
from mist_bundle.parallel import map_cases
from tests.dask_cluster import dask_cluster

pytest.importorskip("distributed")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://127.0.0.1:abc", "tcp://", "tcp://127.0.0.1:99999999"])
def test_a_scheduler_that_is_not_there(address: str) -> None:
    with pytest.raises(InputError, match=r"--workers: is .* no scheduler answers"):
        map_cases(str, ["a", "b"], workers=address)


def test_a_port_that_was_closed_again() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    with pytest.raises(InputError, match="dask scheduler"):
        map_cases(str, ["a", "b"], workers=f"tcp://127.0.0.1:{port}")


def _note(number: int, folder: Path) -> int:
    """Leaves the id of the process that works on it, and takes its time."""
    (folder / f"{number}_{os.getpid()}").touch()
    time.sleep(0.3)
    if number == 3:
        raise ValueError("three")
    return number * number


def test_a_killed_worker_costs_a_retry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with dask_cluster(tmp_path / "dask") as cluster:
        victim = cluster.processes[-1]
        notes = tmp_path / "notes"
        notes.mkdir()

        def kill() -> None:
            while not list(notes.glob(f"*_{victim.pid}")):
                time.sleep(0.02)
            victim.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        done = map_cases(partial(_note, folder=notes), range(12), workers=cluster.address)
        killer.join()
    assert victim.returncode != 0
    assert done.results == [number * number for number in range(12) if number != 3]
    assert [str(problem) for problem in done.problems] == ["3: ValueError: three"]
    assert len(list(notes.iterdir())) > 12, "what the victim was doing was done again"
    assert "Dask: http://127.0.0.1" in capsys.readouterr().err
