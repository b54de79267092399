"""A workflow of a bundle over many cases, in shares: each share is a run of its own, here or on a Dask cluster."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mist_bundle.bundle.launch import Workflow, WorkflowFailed, place_workflow, run_workflow
from mist_bundle.bundle.placement import Hardware, Placement, visible_devices
from mist_bundle.errors import EXIT_INPUT_REFUSED, Problem
from mist_bundle.files import write_json
from mist_bundle.parallel import map_cases

MOST_SHARES = 16  # on a cluster: each run takes seconds to begin, and a lost worker loses its share
DIED = (
    "its process died three times, the last time with this case alone (perhaps killed because it used too much memory)"
)
Entry = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedRun:
    """The settings that all shares have in common.

    Attributes:
        bundle: its folder; on a cluster, under the same path on every machine.
        workflow: which.
        part: of the datalist that holds the cases, "training" or "testing".
        settings: ids of its configuration.
        fold_dirs: folder in which each share has a `fold_dir` of its own, under its number; None leaves that id alone.
    """

    bundle: Path
    workflow: Workflow
    part: str
    settings: Mapping[str, Any]
    fold_dirs: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Crew:
    """Who works on the shares.

    Attributes:
        workers: processes on this machine, or the address of a Dask scheduler.
        devices: GPUs by their names in CUDA_VISIBLE_DEVICES, which the shares take in turn; () leaves the choice to the
            workflow.
    """

    workers: int | str
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """Cases of a run, its number among the shares, and the GPU that it may use."""

    number: int
    entries: tuple[Entry, ...]
    device: str | None = None

    @property
    def names(self) -> str:
        """The ids of its cases."""
        return ", ".join(str(entry["id"]) for entry in self.entries)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a share ended: why it failed, or "", and the exit code of its process."""

    reason: str = ""
    exit_code: int = 0

    @property
    def killed(self) -> bool:
        """Whether something killed its process, such as a system without memory."""
        return self.exit_code == -signal.SIGKILL


def choose_crew(
    bundle: Path,
    workflow: Workflow,
    settings: Mapping[str, Any],
    workers: int | str | None = None,
    devices: str | Sequence[int] | None = None,
) -> Crew | None:
    """Choose who works on the cases; None for a single process, on the device of its configuration.

    A GPU is kept busy by a process of its own, so there is one for each GPU. A CPU is kept busy by one process, which
    computes with all cores; a second would only load the program and the weights again.

    Args:
        bundle: its folder.
        workflow: which.
        settings: ids of its configuration; the "device" that they name is used alone.
        workers: number of processes here, or the address of a Dask scheduler; None for a process for each GPU.
        devices: numbers of the visible GPUs to use; None for all.

    Raises:
        InputError: a GPU is not there, or `devices` contradicts the device of the settings.
    """
    if isinstance(workers, str):
        return Crew(workers=workers)
    placement = place_workflow(bundle, workflow, settings, Hardware(devices=devices))
    names = placement.devices or ()
    if not names and placement.processes > 1:
        names = tuple(visible_devices())
    if workers is None and devices is None and len(names) <= 1:
        return None
    return Crew(workers=workers or len(names), devices=names)


def run_in_shares(run: SharedRun, entries: Sequence[Entry], crew: Crew) -> list[Problem]:
    """Run a workflow on all cases, and say which could not be worked on.

    Shares whose process was killed run again, one after the other, each with all of the memory. A share that is killed
    again is divided into its cases, so that a case that takes too much costs no other.

    Args:
        run: the workflow and its settings.
        entries: of a datalist, an entry for each case.
        crew: who works.

    Returns:
        A Problem for each case that a run named as the reason of its failure, and for each case of a share whose run
        failed without naming cases.

    Raises:
        WorkflowFailed: a run refused its input; its exit code says so.
    """
    problems: list[Problem] = []
    waiting, workers = _divide(entries, crew), crew.workers
    for is_divided in (False, True, True):
        killed = []
        for share, ended in _work_through(run, waiting, workers):
            if ended.exit_code == EXIT_INPUT_REFUSED:
                raise WorkflowFailed(ended.reason, ended.exit_code)
            if ended.killed:
                killed.append(share)
            elif ended.reason:
                problems += _blamed(share, ended.reason)
        waiting = _cases_of(killed, first=len(entries)) if is_divided else killed
        if not waiting:
            return problems
        if isinstance(workers, int):
            workers = 1
    for share in waiting:
        problems.append(Problem(share.names, DIED))
    return problems


def _divide(entries: Sequence[Entry], crew: Crew) -> list[Share]:
    most = MOST_SHARES if isinstance(crew.workers, str) else crew.workers
    count = min(len(entries), most)
    shares = []
    for number in range(count):
        device = crew.devices[number % len(crew.devices)] if crew.devices else None
        shares.append(Share(number=number, entries=tuple(entries[number::count]), device=device))
    return shares


def _cases_of(shares: Sequence[Share], first: int) -> list[Share]:
    """A share for each case, with numbers from `first` on."""
    cases: list[Share] = []
    for share in shares:
        for entry in share.entries:
            cases.append(Share(number=first + len(cases), entries=(entry,), device=share.device))
    return cases


def _work_through(run: SharedRun, shares: Sequence[Share], workers: int | str) -> list[tuple[Share, Ended]]:
    """Run the shares; how each ended."""
    work = partial(_run_share, run)
    done = map_cases(work, shares, name=_names, workers=workers, description=run.workflow.run_id)
    reasons = {problem.path: problem.message for problem in done.problems}
    ends = iter(done.results)  # without those of `reasons`, in order
    ended = []
    for share in shares:
        reason = reasons.get(share.names)
        ended.append((share, next(ends) if reason is None else Ended(reason=reason)))
    return ended


def _run_share(run: SharedRun, share: Share) -> Ended:
    settings = dict(run.settings)
    if run.fold_dirs is not None:
        settings["fold_dir"] = str(run.fold_dirs / str(share.number))
    placement = Placement(devices=None if share.device is None else (share.device,))
    with tempfile.TemporaryDirectory(prefix="mist_bundle_share_") as folder:
        datalist = Path(folder) / "datalist.json"
        write_json(datalist, {"training": [], "testing": [], run.part: list(share.entries)})
        try:
            run_workflow(run.bundle, run.workflow, {**settings, "datalist": str(datalist)}, placement)
        except WorkflowFailed as failure:
            return Ended(reason=str(failure), exit_code=failure.exit_code)
    return Ended()


def _blamed(share: Share, reason: str) -> list[Problem]:
    """The cases that a reason names in lines of their own ("  case: why"), or all cases of the share."""
    problems = []
    for entry in share.entries:
        name = str(entry["id"])
        for line in reason.splitlines()[1:]:
            if line.strip().startswith(f"{name}: "):
                problems.append(Problem(name, line.strip().removeprefix(f"{name}: ")))
                break
    if problems:
        return problems
    return [Problem(str(entry["id"]), reason) for entry in share.entries]


def _names(share: Share) -> str:
    return share.names
