"""What a training leaves in its fold's part of the work folder, how its files are bound to each other, and to settings.

`last.pt` holds all that is needed to continue, and names the file and the hash of the best weights that belong to
it. `previous.pt` is the same of the epoch before, for a last.pt that is damaged. `status.json` says the same in short,
for those who do not load tensors. `history.jsonl` has a line for each epoch, `training.json` says what the training
started from, `train.log` holds whatever was logged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .files import object_or_none

LAST = "last.pt"
PREVIOUS = "previous.pt"
STATUS = "status.json"
HISTORY = "history.jsonl"
VALIDATION_LOSS = "val_loss"  # in the records of the history
TRAIN_LOG = "train.log"
TRAINING = "training.json"  # from what the weights were trained
LOCK = "training.lock"
EARLIER = "earlier_training"  # where a training goes that another training replaces
BEST_PATTERN = "best_*.pt"

COMPONENTS = "components"  # among the settings of a training: every value inside of its components
ABSENT = "not there"
# a training may be extended in these; what follows from them changes with them
EXTENDABLE = ("epochs", "early_stopping")
FOLLOWS_FROM_EPOCHS = ("warmup_steps",)


def best_name(epoch: int) -> str:
    """File of the best weights, which were those of `epoch`: no later epoch writes over it."""
    return f"best_{epoch}.pt"


def read_status(folder: Path) -> dict[str, Any] | None:
    """The status of a fold's training; None where there is no status that can be read."""
    return object_or_none(folder / STATUS)


def has_state(folder: Path) -> bool:
    """Whether a training was begun there and its first epoch ended."""
    return (folder / LAST).is_file() or (folder / PREVIOUS).is_file()


def state_files(folder: Path) -> list[Path]:
    """The files of a training, in the order in which they can be taken away.

    What a training continues from comes first: whenever it is interrupted, nothing that is
    left could be taken for a training.
    """
    best = sorted(folder.glob(BEST_PATTERN))
    files = [
        folder / PREVIOUS,
        folder / LAST,
        folder / STATUS,
        *best,
        folder / HISTORY,
        folder / TRAINING,
        folder / TRAIN_LOG,
    ]
    return [path for path in files if path.is_file()]


def move_aside(folder: Path) -> Path:
    """Make room for a new training: the files of the present training go to a folder of their own.

    Returns:
        That folder. The even older training that it held is now gone.
    """
    earlier = folder / EARLIER
    for path in state_files(earlier):
        path.unlink()
    earlier.mkdir(parents=True, exist_ok=True)
    for path in state_files(folder):
        os.replace(path, earlier / path.name)
    return earlier


def discard(folder: Path) -> None:
    """Remove the files of a training, and of the training that it had replaced."""
    for path in (*state_files(folder), *state_files(folder / EARLIER)):
        path.unlink(missing_ok=True)
    if (folder / EARLIER).is_dir() and not any((folder / EARLIER).iterdir()):
        (folder / EARLIER).rmdir()


def is_complete(status: Mapping[str, Any], epochs: int | None = None, early_stopping: int | None = None) -> bool:
    """Whether a training has nothing left to do.

    Args:
        status: of the fold.
        epochs: of the new run; None: those that it was started with.
        early_stopping: of the new run; None: as it was started.
    """
    if status["epoch"] >= (epochs or status["epochs"]):
        return True
    patience = status.get("early_stopping") if early_stopping is None else early_stopping
    waited = status.get("validations_since_best", 0)
    return bool(status.get("stopped_early")) if patience is None else bool(0 < patience <= waited)


def plain(value: Any) -> Any:
    """A setting as JSON holds it, so that those of two runs can be compared."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def differences(
    started: Mapping[str, Any], now: Mapping[str, Any], *, extended: bool = False
) -> Iterator[tuple[str, Any, Any]]:
    """Settings that are not what a training was started with: name, what it was, what it is.

    Args:
        started: settings of the training.
        now: those of the run that is to continue with it; settings that only either of them names are not compared.
        extended: the run has more epochs, so that what follows from their number may differ.
    """
    for name, value in now.items():
        may_differ = name in EXTENDABLE or (extended and name in FOLLOWS_FROM_EPOCHS)
        if name == COMPONENTS:
            yield from _differing_components(started.get(name), value)
        elif name in started and not may_differ and started[name] != value:
            yield name, started[name], value


def _differing_components(started: Mapping[str, str] | None, now: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    if started is None:  # a state that was written before they were compared
        return
    for name in sorted(started.keys() | now.keys()):
        was, value = started.get(name, ABSENT), now.get(name, ABSENT)
        if was != value:
            yield name, was, value


def differences_text(changed: Sequence[tuple[str, Any, Any]]) -> str:
    """The same for people: `learning_rate was 0.001 and is 0.01 now`."""
    return ", ".join(f"{name} was {was} and is {now} now" for name, was, now in changed)
