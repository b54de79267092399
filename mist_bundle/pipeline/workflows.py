"""Run the workflows of a bundle on the cases of its datalist: preprocess, train, publish, evaluate."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from itertools import starmap
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.launch import (
    PREPROCESS,
    TRAINING,
    configured_dataset_dir,
    place_side_by_side,
    run_workflow,
    torchrun_command,
    workflow_command,
)
from mist_bundle.bundle.placement import Hardware, Placement
from mist_bundle.bundle.publish import finish_publication, publish_weights
from mist_bundle.dataset.volumes import memory_of_a_case
from mist_bundle.errors import CaseFailure, InputError, Interrupted, Problem
from mist_bundle.files import DATALIST_JSON, read_json
from mist_bundle.parallel import cases_at_a_time
from mist_bundle.pipeline.headings import Announce, fold_headings, silent
from mist_bundle.pipeline.shares import Crew, SharedRun, run_in_shares
from mist_bundle.pipeline.side_by_side import train_side_by_side
from mist_bundle.pipeline.training_state import Resumed, check_fold
from mist_bundle.runtime.folds.state import discard
from mist_bundle.runtime.loading.threads import available_threads
from mist_bundle.runtime.wording import option_text
from mist_bundle.trust.audit import require_audited

# of each file, for its arrays before and after resampling
PREPARED_BYTES_PER_VOXEL = 32.0


def open_to_run(bundle: Path, *, trust: bool = False, work_dir: Any = None) -> Bundle:
    """The bundle, if it may be run: what passes the audit, or with `trust`. An interrupted publication is finished."""
    finish_publication(bundle)
    require_audited(bundle, trust=trust)
    return Bundle(bundle, work_dir)


def runnable_bundle(bundle: Path, *, trust: bool = False) -> Bundle:
    """The bundle, if jobs could run its whole cross-validation; nothing in it is changed.

    Raises:
        InputError: mist-bundle did not write it, its plan is damaged, or it does not pass the audit (but for `trust`).
    """
    opened = Bundle(bundle)
    _ = opened.plan
    require_audited(bundle, trust=trust)
    return opened


def num_folds(bundle: Path) -> int:
    """Folds that the bundle's cases were split into."""
    return Bundle(bundle).datalist.num_folds


def data_warnings(bundle: Path) -> tuple[Problem, ...]:
    """Oddities of the data from when the bundle was configured."""
    return tuple(starmap(Problem, Bundle(bundle).plan.warnings or ()))


def preprocess(
    bundle: Path, overrides: Mapping[str, Any], *, workers: int | str | None = None, trust: bool = False
) -> None:
    """Fill the cache of prepared arrays. As all that runs a bundle: only what passes the audit, or with `trust`.

    Args:
        bundle: its folder.
        overrides: ids of preprocess.json.
        workers: cases that are prepared at the same time, or the address of a Dask scheduler whose workers share them;
            None for as many as cores and memory allow (see `cases_at_a_time`).
        trust: run a bundle that does not pass the audit.

    Raises:
        CaseFailure: workers of the cluster failed with some cases; the others were prepared.
        WorkflowFailed: it failed here.
    """
    opened = open_to_run(bundle, trust=trust)
    if not isinstance(workers, str):
        threads = workers or _threads_to_preprocess(opened, overrides)
        run_workflow(bundle, PREPROCESS, {"workers": threads, **overrides})
        return
    entries = read_json(opened.root / DATALIST_JSON)["training"]
    run = SharedRun(bundle=bundle.absolute(), workflow=PREPROCESS, part="training", settings=overrides)
    problems = run_in_shares(run, entries, Crew(workers=workers))
    if problems:
        raise CaseFailure(problems, len(entries))


def _threads_to_preprocess(bundle: Bundle, overrides: Mapping[str, Any]) -> int | None:
    """Cases that are prepared at the same time by default; None where only running the bundle tells which they are."""
    try:
        folder = Path(overrides.get("dataset_dir") or configured_dataset_dir(bundle.root))
        cases = bundle.datalist.training
    except InputError:
        return None
    files = []
    for case in cases:
        files.append([folder / name for name in (*case.images, case.label) if name])
    case_bytes = memory_of_a_case(files, PREPARED_BYTES_PER_VOXEL)
    return min(available_threads(), cases_at_a_time(len(files), case_bytes))


def train(
    bundle: Path,
    folds: Sequence[int],
    overrides: Mapping[str, Any],
    hardware: Hardware | None = None,
    *,
    parallel: int = 1,
    overwrite: bool = False,
    trust: bool = False,
    announce: Announce = silent,
) -> None:
    """Train folds and publish the best weights of each when it ends.

    Args:
        bundle: its folder.
        folds: which.
        overrides: ids of train.json; with "resume", a fold continues where it stands, and complete folds are skipped.
        hardware: devices, processes and machines that train a fold together; None for every visible GPU.
        parallel: folds that are trained side by side; they share the devices.
        overwrite: train again folds that were trained before; their states are lost.
        trust: run a bundle that does not pass the audit.
        announce: called with a heading before each fold begins.

    Raises:
        InputError: naming every fold that was trained before without `resume` or `overwrite`, that was begun with other
            settings, or that another process trains.
        WorkflowFailed: a training failed.
        Interrupted: a signal ended it; its state is kept.
    """
    opened = open_to_run(bundle, trust=trust, work_dir=overrides.get("work_dir"))
    check_folds(opened, folds)
    resume = bool(overrides.get("resume"))
    settings = {name: value for name, value in overrides.items() if value is not None}
    hardware, parallel = hardware or Hardware(), min(parallel, len(folds))
    placements = place_side_by_side(bundle, TRAINING, settings, hardware, parallel)
    placement = placements[0]
    workflow_command(bundle, TRAINING, settings, placement)  # refuses wrong settings before anything is changed
    progress = _progress(opened, folds, settings, resume=resume, overwrite=overwrite)
    _print_placement(bundle, placement, folds, settings)
    remaining = []
    for number in folds:
        fold = opened.fold(number)
        if progress[number] is Resumed.COMPLETE:
            publish_weights(bundle, fold)
            continue
        if overwrite and not resume:
            discard(fold.folder)
        remaining.append(number)
    command = _train_command(bundle, settings, hardware, parallel, trust=trust)
    if parallel > 1 and len(remaining) > 1:
        announce(f"Training folds {', '.join(map(str, remaining))} ({len(placements)} at a time)")
        try:
            train_side_by_side(opened, remaining, settings, placements)
        except Interrupted as interruption:
            raise _with_next_command(interruption, opened, remaining, command) from interruption
        return
    for done, heading in enumerate(fold_headings("Training", remaining)):
        announce(heading)
        try:
            run_workflow(bundle, TRAINING, {"fold": remaining[done], **settings}, placement)
        except Interrupted as interruption:
            raise _with_next_command(interruption, opened, remaining[done:], command) from interruption


def _progress(
    bundle: Bundle, folds: Sequence[int], settings: Mapping[str, Any], *, resume: bool, overwrite: bool
) -> dict[int, Resumed]:
    """How far the earlier training of each fold came; refuses folds that may not be trained."""
    progress: dict[int, Resumed] = {}
    problems: list[Problem] = []
    for number in folds:
        progress[number], reasons = check_fold(bundle, number, settings, resume=resume, overwrite=overwrite)
        problems += reasons
    if problems:
        raise InputError(problems)
    return progress


def _print_placement(bundle: Path, placement: Placement, folds: Sequence[int], settings: Mapping[str, Any]) -> None:
    """Print what a person should know of where a training runs; on several machines, the exact command too."""
    if placement.warning:
        sys.stderr.write(f"warning: --devices: {placement.warning}\n")
    if placement.nodes > 1:
        command = torchrun_command(bundle, TRAINING, {"fold": folds[0], **settings}, placement)
        sys.stderr.write(f"{shlex.join(command)}\n")
    sys.stderr.flush()


def publish(
    bundle: Path, folds: Sequence[int] | None = None, *, work_dir: Path | None = None, trust: bool = False
) -> dict[int, list[str]]:
    """Put the best weights of folds into the bundle, whether their trainings have ended or not.

    Args:
        bundle: its folder.
        folds: which; None for all that have weights.
        work_dir: folder of their training, if that is not the folder beside the bundle.
        trust: publish into a bundle that does not pass the audit.

    Returns:
        Fold -> paths in the bundle that changed; empty if the weights were published before.

    Raises:
        InputError: naming every fold that has no weights to publish.
    """
    opened = open_to_run(bundle, trust=trust, work_dir=work_dir)
    begun = []
    for fold in opened.folds():
        if (fold.status or {}).get("best"):
            begun.append(fold.number)
    lacking = f"has no weights to publish: nothing of it was trained in {opened.work_dir}."
    none = Problem(str(opened.work_dir), "holds no training whose weights could be published.")
    folds = ready_folds(opened, folds, begun, lambda _: lacking, none)
    changed = {}
    for number in folds:
        changed[number] = publish_weights(bundle, opened.fold(number))
    return changed


def check_folds(bundle: Bundle, folds: Sequence[int]) -> None:
    """Refuse folds that a bundle does not have."""
    count = bundle.datalist.num_folds
    wrong = [fold for fold in folds if not 0 <= fold < count]
    if wrong:
        raise InputError(Problem("--fold", f"is {wrong}; this bundle has the folds 0 to {count - 1}, or 'all'."))


def ready_folds(
    bundle: Bundle, folds: Sequence[int] | None, ready: Sequence[int], lack: Callable[[int], str], none: Problem
) -> list[int]:
    """Return the folds to work on: `folds`, or all that are ready.

    Args:
        bundle: whose folds they are.
        folds: numbers of folds; None for all that are ready.
        ready: folds that can be worked on.
        lack: what is missing of a fold that is not ready.
        none: the problem if no fold is left.

    Raises:
        InputError: naming every fold that is not ready or not there.
    """
    chosen = list(ready if folds is None else folds)
    check_folds(bundle, chosen)
    problems = [Problem(f"fold {number}", lack(number)) for number in chosen if number not in ready]
    if not chosen:
        problems = [none]
    if problems:
        raise InputError(problems)
    return chosen


def _train_command(
    bundle: Path, settings: Mapping[str, Any], hardware: Hardware, parallel: int, *, trust: bool
) -> list[str]:
    """The command that continues with trainings of these settings, but for the folds."""
    words = ["mist-bundle", "train", str(bundle), "--resume"]
    for key, value in settings.items():
        if key != "resume":
            words += [f"--{key}", option_text(value)]
    for field in fields(hardware):
        value = getattr(hardware, field.name)
        if value != field.default:
            words += [f"--{field.name}", option_text(value)]
    words += ["--parallel", str(parallel)] if parallel > 1 else []
    return words + (["--trust"] if trust else [])


def _with_next_command(
    interruption: Interrupted, bundle: Bundle, folds: Sequence[int], command: Sequence[str]
) -> Interrupted:
    """An interruption with the progress that is kept, and the command that continues with the folds."""
    kept = []
    for number in folds:
        status = bundle.fold(number).status
        if status is not None:
            kept.append(f"Fold {number}: epoch {status['epoch']} of {status['epochs']} is kept.")
    if not kept:
        kept.append(f"Fold {folds[0]}: no epoch had ended.")
    words = [*command[:3], "--fold", option_text(list(folds)), *command[3:]]
    return Interrupted(interruption.number, " ".join([interruption.kept, *kept]), words)
