"""The first thing that a workflow does: check its settings, before anything is trained, written or replaced.

`python -m monai.bundle run training … --epoch 1` makes an id that nothing reads, and trains with the bundle's own
number of epochs; `--batch_size 0` fails minutes later, deep inside of a loader. Both are refused here in one sentence.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from monai.bundle import ConfigParser

from .settings import CONFIG_SUFFIXES, SETTINGS, is_expression, setting_problem
from .wording import nearest

logger = logging.getLogger(__name__)

# ids that MONAI itself adds, for its metadata and for experiment tracking
_OF_MONAI = frozenset(
    {
        "_meta_",
        "_mode_",
        "_requires_",
        "configs",
        "experiment_name",
        "handlers",
        "handlers_id",
        "is_not_rank0",
        "mlflow_dataset",
        "run_name",
        "save_execute_config",
        "tracking",
        "tracking_uri",
    }
)
_LIKENESS = 0.7  # of an unknown id and a known one, from which it is taken for a slip
_REFERENCE = re.compile(r"[@%](\w+)")


def check_settings(bundle_root: str) -> None:
    """Check the values of the running configuration's top-level ids, and that something reads each of them.

    Args:
        bundle_root: the bundle's folder, whose configuration files tell which ids it has.

    Raises:
        ValueError: naming everything that is wrong; under the command `python -m monai.bundle`, SystemExit.
    """
    config = running_configuration()
    if config is None:  # called by hand
        return
    if _is_command():
        sys.excepthook = tell_cause
    known = {*_OF_MONAI, *SETTINGS, *_ids_of_files(Path(bundle_root)), *_referenced(config)}
    findings = []
    for name, value in config.items():
        problem = setting_problem(name, value)
        if problem:
            begins_anew = problem.startswith("there is ")
            findings.append(f"{name}: {problem}" if begins_anew else f"{name} {problem}")
    findings += [*_misspelt(config, known), *_missing_device(config.get("device"))]
    if findings:
        message = f"The settings of this run are refused; nothing was changed. {' '.join(findings)}"
        # MONAI wraps a ValueError in two tracebacks; a command ends with the sentence alone
        raise SystemExit(message) if _is_command() else ValueError(message)


def tell_cause(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End a command with the sentence of what went wrong, where a bundle's own code says it.

    MONAI raises `Failed to evaluate …` from it, twice, with a page of tracebacks; whoever typed the command would look
    for the cause in vain. Any other error keeps its traceback.
    """
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, (ValueError, FloatingPointError, OSError)) and _raised_in_bundle(cause.__traceback__):
        sys.stderr.write(f"{cause}\n")
    else:
        sys.__excepthook__(kind, error, trace)


def _raised_in_bundle(trace: TracebackType | None) -> bool:
    """Whether the last function of a traceback stands in the folder of this file."""
    place = ""
    while trace is not None:
        place = trace.tb_frame.f_code.co_filename
        trace = trace.tb_next
    return Path(place).is_relative_to(Path(__file__).parent)


def running_configuration() -> Mapping[str, Any] | None:
    """The configuration that MONAI is resolving right now, with all overrides in it; None outside of such a run.

    MONAI hands a component only its own arguments. The parser that called it stands further up on the stack, however
    the run was started: from the command line, an arguments file, or Python.
    """
    frame = sys._getframe()
    while frame is not None:
        parser = frame.f_locals.get("self")
        if isinstance(parser, ConfigParser) and isinstance(parser.config, Mapping):
            return parser.config
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _is_command() -> bool:
    """Whether this is `python -m monai.bundle`, also under torchrun, rather than a program that calls MONAI."""
    return Path(sys.argv[0]).parts[-3:] == ("monai", "bundle", "__main__.py")


def _ids_of_files(bundle_root: Path) -> Iterator[str]:
    """The top-level ids of all configuration files in the bundle."""
    for path in sorted((bundle_root / "configs").iterdir()):
        if path.suffix in CONFIG_SUFFIXES:
            for key in ConfigParser.load_config_file(str(path)):
                yield re.split(r"#|::", str(key))[0]


def _referenced(value: Any) -> Iterator[str]:
    """The top-level ids that a part of a configuration reads."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _referenced(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _referenced(part)
    elif isinstance(value, str):
        yield from _REFERENCE.findall(value)


def _misspelt(config: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    for name in config:
        if name in known:
            continue
        meant = nearest(name, sorted(known), cutoff=_LIKENESS)
        if meant:
            yield f"{name} is not a setting of this bundle. Did you mean {meant}?"
        else:
            logger.warning("warning: --%s: nothing in this bundle reads it, so it has no effect; check its name.", name)


def _missing_device(device: Any) -> Iterator[str]:
    if not isinstance(device, str) or is_expression(device) or not device.startswith("cuda"):
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(device.partition(":")[2] or 0)
    if index >= count:
        there = f"{count} CUDA devices, numbered from 0" if count else "no CUDA device"
        yield f"device is {device!r}, but there is {there}; use cpu."
