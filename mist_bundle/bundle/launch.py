"""Start a bundle's workflows: the same `python -m monai.bundle run` that a user may type, in a process of its own.

One process per run keeps bundles apart (`scripts` is one module name a process) and mist_bundle itself light.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.bundle import child
from mist_bundle.bundle.expressions import DATASET_DIR, slot_value
from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.overrides import checked_overrides, load_configs, override_word
from mist_bundle.bundle.placement import Hardware, Placement
from mist_bundle.errors import Collecting, InputError, Interrupted, MistBundleError, Problem
from mist_bundle.files import check_can_write
from mist_bundle.runtime.settings import is_expression

CHILD = "mist_bundle.bundle.child"
# what MONAI says about every configuration; those that are run here passed the audit, or their user vouches for them
_QUIET_WARNINGS = ("ignore:parsing config_file", "ignore:NvImgCodecPydicomReader")
_GRACE_SECONDS = 60.0  # for a workflow that was told to end


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    """A named run of a bundle: its id and the files that make its configuration, the overlay for several GPUs apart.

    `overlays` are further files outside the bundle, laid over it last.
    """

    run_id: str
    files: tuple[str, ...]
    multi_gpu: str = ""
    overlays: tuple[Path, ...] = ()


PREPROCESS = Workflow(run_id="preprocess", files=("preprocess",))
TRAINING = Workflow(run_id="training", files=("train",), multi_gpu="multi_gpu_train")
EVALUATING = Workflow(run_id="evaluating", files=("train", "evaluate"), multi_gpu="multi_gpu_evaluate")
INFERENCE = Workflow(run_id="inference", files=("inference",))


class WorkflowFailed(MistBundleError):
    """A workflow ended with an error; the message says which. `exit_code` is that of its process."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run_workflow(
    bundle: Path, workflow: Workflow, overrides: Mapping[str, Any], placement: Placement | None = None
) -> None:
    """Run a workflow of a bundle and wait for it. It ends when this process ends, whatever ends this one.

    Args:
        bundle: its folder.
        workflow: which.
        overrides: ids of the configuration and their values; None values are left out.
        placement: where it runs; None for one process.

    Raises:
        InputError: no bundle there, or an override that its configuration does not know.
        WorkflowFailed: it ended with an error.
        Interrupted: a signal told this process to end; the workflow has ended too.
    """
    placement = placement or Placement()
    command = workflow_command(bundle, workflow, overrides, placement)
    with tempfile.TemporaryDirectory(prefix="mist_bundle_") as folder:
        reason = Path(folder) / "reason.txt"
        code = _wait_for(command, _environment(placement, reason))
        if code == 0:
            return
        told = reason.read_text(encoding="utf-8") if reason.is_file() else ""
    raise WorkflowFailed(f"{bundle}: '{workflow.run_id}' failed: {told or _ended(code)}", code)


def _environment(placement: Placement, reason: Path) -> dict[str, str]:
    # waiting threads that spin starve the data loader's where cores are few (measured: steps 3 times slower)
    # and a bundle's folder is left as it was found: compiled files in it could not be told from a stranger's
    environment = {
        "OMP_WAIT_POLICY": "PASSIVE",
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": ",".join([*_QUIET_WARNINGS, *filter(None, [os.environ.get("PYTHONWARNINGS")])]),
        child.PARENT: str(os.getpid()),
        child.REASON: str(reason),
    }
    return {**environment, **placement.environment()}


def _wait_for(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code of a process; signals that reach this one are handed on to it."""
    with subprocess.Popen(command, env=dict(environment)) as process:
        with _signals_raise():
            try:
                return process.wait()
            except child.Interrupted as interruption:
                number = interruption.number
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        raise Interrupted(number, f"Interrupted by {signal.Signals(number).name}.")


@contextmanager
def _signals_raise() -> Iterator[None]:
    """While the block runs, a signal that asks this process to end raises Interrupted in it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hands signals to the main thread only
        return
    former = child.raise_on_signals()
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _ended(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}; what went wrong stands above."
    name = signal.Signals(-code).name
    hint = " The machine's memory may be used up: try a smaller --batch_size or --patch_size." if code == -9 else ""
    return f"it was ended by {name}.{hint}"


def workflow_command(
    bundle: Path, workflow: Workflow, overrides: Mapping[str, Any], placement: Placement | None = None
) -> list[str]:
    """The command line of `run_workflow`, checked."""
    placement = placement or Placement()
    stems = [*workflow.files, *([workflow.multi_gpu] if placement.distributed else [])]
    folder = Bundle(bundle)
    files = [*(folder.config_path(stem) for stem in stems), *workflow.overlays]
    given = checked_overrides(load_configs(files), overrides)
    _check_places(given)
    config = str(files[0]) if len(files) == 1 else json.dumps([str(file) for file in files])
    start = [sys.executable, "-m", CHILD]
    if placement.distributed:
        job = f"{folder.root.name}-{workflow.run_id}-{given.get('fold', 0)}"
        start += ["torch.distributed.run", *placement.torchrun(job), "-m", CHILD]
    return [
        *start,
        "monai.bundle",
        "run",
        workflow.run_id,
        "--config_file",
        config,
        *(word for key, value in given.items() for word in (f"--{key}", override_word(value))),
    ]


def _check_places(given: Mapping[str, Any]) -> None:
    """Refuse folders that cannot be read from or written to before a process is started for them."""
    problems: list[Problem] = []
    dataset_dir, work_dir = given.get("dataset_dir"), given.get("work_dir")
    if isinstance(dataset_dir, str) and not is_expression(dataset_dir) and not Path(dataset_dir).is_dir():
        problems.append(
            Problem("--dataset_dir", f"is {dataset_dir}, which is no folder. Name the folder of the cases.")
        )
    if isinstance(work_dir, str) and not is_expression(work_dir):
        with Collecting(problems):
            check_can_write(Path(work_dir))
    if problems:
        raise InputError(problems)


def place_workflow(bundle: Path, workflow: Workflow, overrides: Mapping[str, Any], hardware: Hardware) -> Placement:
    """Where a workflow runs, by what was asked for and what its configuration says of device and batch."""
    config = load_configs([Bundle(bundle).config_path(stem) for stem in workflow.files])
    settings = {**config, **checked_overrides(config, overrides)}
    if workflow is not TRAINING:  # whole cases are shared out, not the patches of a batch
        settings.pop("batch_size", None)
    return hardware.place(settings)


def configured_dataset_dir(bundle: Path) -> Path:
    """The folder of the cases that the bundle's own train.json names, relative to the bundle; nothing is evaluated.

    Raises:
        InputError: it is written in a way that only running the bundle could tell.
    """
    path = Bundle(bundle).config_path("train")
    named = load_configs([path]).get("dataset_dir")
    text = named if isinstance(named, str) else ""
    relative = slot_value(DATASET_DIR, text)
    if relative is None and (not text or text.startswith(("$", "@", "%"))):
        raise InputError(Problem(f"{path} dataset_dir", f"is {named!r}; give the folder of the cases: --dataset_dir."))
    return (bundle / (text if relative is None else relative)).resolve()
