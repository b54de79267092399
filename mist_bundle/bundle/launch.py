"""Starting a bundle's workflows: the same `python -m monai.bundle run` that a user may type, in a separate process.

Separate processes keep bundles apart (every bundle has a module called `scripts`) and mist_bundle itself light.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.bundle import child
from mist_bundle.bundle.expressions import DATASET_DIR, slot_value
from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.overrides import checked_overrides, load_configs, override_word
from mist_bundle.bundle.placement import OWN_STORE, Hardware, Placement
from mist_bundle.errors import Collecting, InputError, Interrupted, MistBundleError, Problem
from mist_bundle.files import check_can_write, real_path
from mist_bundle.runtime.predictions.say import REASON
from mist_bundle.runtime.settings import is_expression

CHILD = "mist_bundle.bundle.child"
# warnings of MONAI about every configuration; those run here passed the audit, or their user vouches for them
_QUIET_WARNINGS = ("ignore:parsing config_file", "ignore:NvImgCodecPydicomReader")
# PyTorch returns every tensor's memory to the C library, which by default returns it to the system: each step of a
# training then pays for the same pages again. glibc keeps what was freed with these; other libraries ignore them.
KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}
_GRACE_SECONDS = 60.0  # for a workflow to end after a signal


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    """A workflow of a bundle.

    Attributes:
        run_id: id that `monai.bundle run` starts.
        files: stems of its configuration files.
        multi_gpu: stem of the overlay for several processes; "" if there is none.
        overlays: further files outside the bundle, which are laid over it last.
        repeats: it allocates the same sizes again and again, as every step of a training does.
    """

    run_id: str
    files: tuple[str, ...]
    multi_gpu: str = ""
    overlays: tuple[Path, ...] = ()
    repeats: bool = False


PREPROCESS = Workflow(run_id="preprocess", files=("preprocess",))
TRAINING = Workflow(run_id="training", files=("train",), multi_gpu="multi_gpu_train", repeats=True)
EVALUATING = Workflow(run_id="evaluating", files=("train", "evaluate"), multi_gpu="multi_gpu_evaluate")
INFERENCE = Workflow(run_id="inference", files=("inference",))


# ids of the configuration that name files to read
_READ_FILES = ("ckpt_path", "fold_paths", "postprocessing_path", "confidence_path", "datalist")


class WorkflowFailed(MistBundleError):
    """A workflow ended with the error in the message. `exit_code` is that of its process."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run_workflow(
    bundle: Path, workflow: Workflow, overrides: Mapping[str, Any], placement: Placement | None = None
) -> None:
    """Run a workflow of a bundle and wait for it. It ends when this process ends, for whatever reason.

    Args:
        bundle: folder of the bundle.
        workflow: the workflow.
        overrides: ids of the configuration and their values; None values are ignored.
        placement: devices and processes; by default a single process.

    Raises:
        InputError: the folder is not a bundle, or its configuration does not know an override.
        WorkflowFailed: the workflow ended with an error.
        Interrupted: a signal ended this process and with it the workflow.
    """
    with RunningWorkflow(bundle, workflow, overrides, placement) as running, child.signals_raise():
        try:
            running.process.wait()
        except child.Interrupted as interruption:
            number = interruption.number
            running.stop()
            raise Interrupted(number, f"Interrupted by {signal.Signals(number).name}.") from None
        running.check()


class RunningWorkflow:
    """A workflow in a process of its own; it ends when the block or this process ends.

    Args:
        bundle: folder of the bundle.
        workflow: the workflow.
        overrides: ids of the configuration and their values; None values are ignored.
        placement: devices and processes; by default a single process.
        captured: whether its output goes to `process.stdout`, as text, instead of the terminal.

    Raises:
        InputError: the folder is not a bundle, or its configuration does not know an override.
    """

    def __init__(
        self,
        bundle: Path,
        workflow: Workflow,
        overrides: Mapping[str, Any],
        placement: Placement | None = None,
        *,
        captured: bool = False,
    ) -> None:
        placement = placement or Placement()
        self.bundle = bundle
        self.workflow = workflow
        command = workflow_command(bundle, workflow, overrides, placement)
        self._scratch = tempfile.TemporaryDirectory(prefix="mist_bundle_")
        self._reason = Path(self._scratch.name) / "reason.txt"
        self.process = subprocess.Popen(
            command,
            env=_environment(workflow, placement, self._reason),
            stdout=subprocess.PIPE if captured else None,
            stderr=subprocess.STDOUT if captured else None,
            encoding="utf-8",
            errors="replace",
        )

    def check(self) -> None:
        """Raise WorkflowFailed, with the reason, if the workflow has ended with an error."""
        code = self.process.returncode
        if not code:
            return
        reason = self._reason.read_text(encoding="utf-8") if self._reason.is_file() else ""
        text = reason or _exit_text(code, self.workflow)
        raise WorkflowFailed(f"{self.bundle}: '{self.workflow.run_id}' failed: {text}", code)

    def ask_to_end(self) -> None:
        """Send SIGTERM, unless it has ended."""
        if self.process.poll() is None:
            self.process.terminate()

    def stop(self) -> None:
        """End it: it may take some time to end in order, and is killed afterwards."""
        self.ask_to_end()
        try:
            self.process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """End it if it still runs, and remove its temporary files."""
        self.stop()
        self._scratch.cleanup()

    def __enter__(self) -> RunningWorkflow:
        """Enter the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """Leave nothing behind."""
        self.close()


def _environment(workflow: Workflow, placement: Placement, reason_file: Path) -> dict[str, str]:
    environment = dict(os.environ)
    if workflow.repeats and not any(name.startswith("MALLOC_") for name in environment):
        environment.update(KEEP_FREED_MEMORY)
    # waiting threads that spin starve the data loader's threads if cores are few (measured: steps 3 times slower)
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environment["PYTHONUNBUFFERED"] = "1"
    # compiled files in a bundle's folder could not be distinguished from a stranger's
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    warnings = list(_QUIET_WARNINGS)
    if os.environ.get("PYTHONWARNINGS"):
        warnings.append(os.environ["PYTHONWARNINGS"])
    environment["PYTHONWARNINGS"] = ",".join(warnings)
    environment[child.PARENT] = str(os.getpid())
    environment[REASON] = str(reason_file)
    environment.update(placement.environment())
    return environment


def _exit_text(code: int, workflow: Workflow) -> str:
    if code >= 0:
        return f"it ended with exit code {code}; see the error above."
    text = f"it was ended by {signal.Signals(-code).name}."
    if code == -signal.SIGKILL:
        option = "--batch_size or --patch_size" if workflow in (TRAINING, PREPROCESS) else "--memory (gigabytes)"
        text += f" The machine's memory may be used up: try a smaller {option}."
    return text


def workflow_command(
    bundle: Path, workflow: Workflow, overrides: Mapping[str, Any], placement: Placement | None = None
) -> list[str]:
    """Check the overrides and return the command line of `run_workflow`."""
    placement = placement or Placement()
    words, job = _monai_words(bundle, workflow, overrides, placement)
    command = [sys.executable, "-m", CHILD]
    if placement.distributed:
        command += ["torch.distributed.run", *placement.torchrun(job), "-m", CHILD]
    return command + words


def torchrun_command(bundle: Path, workflow: Workflow, overrides: Mapping[str, Any], placement: Placement) -> list[str]:
    """Return the same as a command of torch and MONAI, for machines where mist-bundle is not installed."""
    words, job = _monai_words(bundle, workflow, overrides, placement)
    variables = [f"{OWN_STORE}=1"] if placement.max_restarts > 0 else []
    return [*variables, "torchrun", *placement.torchrun(job), "-m", *words]


def _monai_words(
    bundle: Path, workflow: Workflow, overrides: Mapping[str, Any], placement: Placement
) -> tuple[list[str], str]:
    """The words of a workflow from `monai.bundle` on, and a name of the run for torchrun."""
    folder = Bundle(bundle)
    files = [folder.config_path(stem) for stem in workflow.files]
    if placement.distributed:
        files.append(folder.config_path(workflow.multi_gpu))
    files += workflow.overlays
    checked = checked_overrides(load_configs(files), overrides)
    _check_places(bundle, workflow, checked)
    config = str(files[0]) if len(files) == 1 else json.dumps(list(map(str, files)))
    words = ["monai.bundle", "run", workflow.run_id, "--config_file", config]
    for key, value in checked.items():
        words += [f"--{key}", override_word(value)]
    return words, f"{folder.root.name}-{workflow.run_id}-{checked.get('fold', 0)}"


def _check_places(bundle: Path, workflow: Workflow, checked: Mapping[str, Any]) -> None:
    """Refuse files and folders that cannot be read, or written to, before a process is started for them."""
    problems = _moved_data(bundle, workflow, checked)
    dataset_dir, work_dir = checked.get("dataset_dir"), checked.get("work_dir")
    if isinstance(dataset_dir, str) and not is_expression(dataset_dir) and not Path(dataset_dir).is_dir():
        problems.append(
            Problem("--dataset_dir", f"is {dataset_dir}, which is not a folder. Name the folder of the cases.")
        )
    if isinstance(work_dir, str) and not is_expression(work_dir):
        with Collecting(problems):
            check_can_write(Path(work_dir))
    for name in _READ_FILES:
        value = checked.get(name)
        for path in [value] if isinstance(value, str) else value or ():
            if not is_expression(path) and not Path(path).is_file():
                problems.append(Problem(f"--{name}", f"names {path}, which is not a file."))
    if problems:
        raise InputError(problems)


def _moved_data(bundle: Path, workflow: Workflow, checked: Mapping[str, Any]) -> list[Problem]:
    """Report that the folder of the cases is needed but is no longer where the configuration says."""
    if workflow.run_id == INFERENCE.run_id or "dataset_dir" in checked or "datalist" in checked:
        return []
    if workflow.overlays:  # they name cases of their own
        return []
    try:
        folder = configured_dataset_dir(bundle)
    except InputError:  # an expression that only running the bundle could evaluate
        return []
    if folder.is_dir():
        return []
    return [
        Problem(str(folder), "is not there: the cases were moved or renamed. Name their folder with --dataset_dir.")
    ]


def place_workflow(bundle: Path, workflow: Workflow, overrides: Mapping[str, Any], hardware: Hardware) -> Placement:
    """Choose where a workflow runs, by the user's hardware options and the device and batch of its configuration."""
    (placement,) = place_side_by_side(bundle, workflow, overrides, hardware, 1)
    return placement


def place_side_by_side(
    bundle: Path, workflow: Workflow, overrides: Mapping[str, Any], hardware: Hardware, parallel: int
) -> list[Placement]:
    """The same for several runs of a workflow at a time; see `Hardware.place_side_by_side`."""
    config = load_configs([Bundle(bundle).config_path(stem) for stem in workflow.files])
    settings = {**config, **checked_overrides(config, overrides)}
    if workflow is not TRAINING:  # whole cases are shared out, not the patches of a batch
        settings.pop("batch_size", None)
    return hardware.place_side_by_side(settings, parallel)


def configured_dataset_dir(bundle: Path) -> Path:
    """Return the folder of the cases that the bundle's own train.json names, without evaluating anything.

    Raises:
        InputError: the folder is an expression that only running the bundle could evaluate.
    """
    path = Bundle(bundle).config_path("train")
    dataset_dir = load_configs([path]).get("dataset_dir")
    text = dataset_dir if isinstance(dataset_dir, str) else ""
    relative = slot_value(DATASET_DIR, text)
    if relative is None:
        if not text or text.startswith(("$", "@", "%")):
            message = f"is {dataset_dir!r}; name the folder of the cases: --dataset_dir."
            raise InputError(Problem(f"{path} dataset_dir", message))
        relative = text
    return real_path(bundle / relative)
