"""The pool of local processes: same results in the same order, and a death costs no other case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mist_bundle import parallel
from mist_bundle.errors import InputError, Problem
from mist_bundle.parallel import map_cases


def _square(number: int) -> int:
    if number == 7:
        raise InputError(Problem("seven", "is not squared."))
    return number * number


def _die_once(path: Path) -> str:
    """Kills its own process at the first visit of a path that is not there."""
    if path.name.startswith("deadly") and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def _die_always(name: str) -> str:
    if name == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return name


def _slow_pid(number: int) -> int:
    time.sleep(0.4)
    return os.getpid()


@pytest.mark.parametrize("workers", [None, 1, 2])
def test_results_are_in_order_and_failures_have_names(workers: int | None) -> None:
    done = map_cases(_square, range(12), workers=workers)
    assert done.results == [number * number for number in range(12) if number != 7]
    assert [str(problem) for problem in done.problems] == ["7: seven: is not squared."]


def test_a_process_that_dies_costs_a_retry(tmp_path: Path) -> None:
    paths = [tmp_path / f"{kind}{number}" for number in range(3) for kind in ("deadly", "calm")]
    done = map_cases(_die_once, paths, workers=2)
    assert done.results == [path.name for path in paths]
    assert done.problems == []


def test_a_case_that_kills_every_process_is_named_and_the_others_go_on() -> None:
    done = map_cases(_die_always, ["a", "deadly", "b", "c"], workers=2)
    assert done.results == ["a", "b", "c"]
    assert [(problem.path, problem.message) for problem in done.problems] == [("deadly", parallel.DIED)]


def test_quick_cases_start_no_process() -> None:
    done = map_cases(_square, [1, 2, 3])
    assert done.results == [1, 4, 9]
    assert set(map_cases(_pid, range(50)).results) == {os.getpid()}


def _pid(number: int) -> int:
    del number
    return os.getpid()


def test_slow_cases_start_as_many_as_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "cases_at_a_time", lambda cases, case_bytes: 2)
    used = map_cases(_slow_pid, range(14)).results
    assert used[:2] == [os.getpid()] * 2, "the first ones are timed here"
    assert len(set(used[2:]) - {os.getpid()}) == 2


def test_no_more_processes_than_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "available_cores", lambda: 64)
    monkeypatch.setattr(parallel, "free_memory", lambda: 3.5 * parallel.WORKER_BYTES)
    assert parallel.cases_at_a_time(100) == 3
    assert parallel.cases_at_a_time(2) == 2
    assert parallel.cases_at_a_time(100, 1.7 * parallel.WORKER_BYTES) == 2
    assert parallel.cases_at_a_time(100, 50 * parallel.WORKER_BYTES) == 1
    assert parallel.cases_at_a_time(0) == 1


def test_no_more_processes_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "available_cores", lambda: 4)
    monkeypatch.setattr(parallel, "free_memory", lambda: float("inf"))
    assert parallel.cases_at_a_time(100) == 4


SCRIPT = """
from mist_bundle.parallel import map_cases
print(map_cases(abs, [-1, -2, -3], workers=2).results)
"""


def test_a_script_without_a_guard_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 2, 3]\n"
