"""A workflow of a bundle over many cases, in shares: each share is a run of its own, here or on a Dask cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mist_bundle.bundle.launch import Workflow, run_workflow
from mist_bundle.errors import Problem
from mist_bundle.files import write_json
from mist_bundle.parallel import map_cases

MOST_SHARES = 16  # on a cluster: each run takes seconds to begin, and a lost worker loses its share
Entry = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedRun:
    """The settings that all shares have in common.

    Attributes:
        bundle: its folder; on a cluster, under the same path on every machine.
        workflow: which.
        part: of the datalist that holds the cases, "training" or "testing".
        settings: ids of its configuration.
    """

    bundle: Path
    workflow: Workflow
    part: str
    settings: Mapping[str, Any]


def run_in_shares(run: SharedRun, entries: Sequence[Entry], workers: int | str) -> list[Problem]:
    """Run a workflow on all cases, and say which shares failed.

    Args:
        run: the workflow and its settings.
        entries: of a datalist, an entry for each case.
        workers: processes on this machine, or the address of a Dask scheduler.

    Returns:
        A Problem for each case of a share that failed.
    """
    count = min(len(entries), MOST_SHARES if isinstance(workers, str) else workers)
    shares = [entries[start::count] for start in range(count)]
    work = partial(_run_share, run)
    done = map_cases(work, shares, name=_names, workers=workers, description=run.workflow.run_id)
    reasons = {problem.path: problem.message for problem in done.problems}
    problems = []
    for share in shares:
        reason = reasons.get(_names(share))
        if reason is None:
            continue
        for entry in share:
            problems.append(Problem(str(entry["id"]), reason))
    return problems


def _run_share(run: SharedRun, share: Sequence[Entry]) -> None:
    with tempfile.TemporaryDirectory(prefix="mist_bundle_share_") as folder:
        datalist = Path(folder) / "datalist.json"
        write_json(datalist, {"training": [], "testing": [], run.part: list(share)})
        run_workflow(run.bundle, run.workflow, {**run.settings, "datalist": str(datalist)})


def _names(share: Sequence[Entry]) -> str:
    return ", ".join(str(entry["id"]) for entry in share)
