"""Load the weights that an evaluator predicts with, and refuse weights that are missing or are not numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine
from monai.handlers import CheckpointLoader

from ..folds.finite import file_problem, load_failure


class RequiredCheckpointLoader(CheckpointLoader):
    """MONAI's CheckpointLoader, which stops the evaluator before its first case where weights cannot be used.

    Programs that hand over the weights themselves, such as MONAI's federated client, switch off whatever has
    `CheckpointLoader` in its name: then neither is a file required nor are the weights of the program replaced.

    Args:
        load_path: the file of the network's weights.
        load_dict: what is loaded, `{"model": network}`.
        others: further weight files that the inferer loads itself. Where it loads
            two or more, `load_path` may be absent.
        map_location: the device that the weights are loaded to.
    """

    def __init__(
        self,
        load_path: str,
        load_dict: Mapping[str, Any],
        others: Sequence[str] = (),
        map_location: str | None = None,
    ) -> None:
        # MONAI declares a dict and hands whatever it is to torch.load
        super().__init__(load_path=load_path, load_dict=dict(load_dict), map_location=map_location)  # type: ignore[arg-type]
        self.others = list(others)

    def __call__(self, engine: Engine) -> None:
        """Look at the files and load the weights.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file holds NaN or infinite numbers, or no weights of this network.
        """
        _check(self.load_path, self.others, _members(engine))
        if Path(self.load_path).is_file():
            self._load(engine)

    def _load(self, engine: Engine) -> None:
        try:
            super().__call__(engine)
        except (torch.OutOfMemoryError, MemoryError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - a damaged file raises what its damage leads to
            reason = load_failure(error)
            message = f"{self.load_path} cannot be loaded into the network of this bundle ({reason})."
            raise ValueError(f"{message} Name weights that were trained with this bundle.") from None


def _check(load_path: str, others: Sequence[str], members: Sequence[str]) -> None:
    """Refuse weights that cannot be used, where `members` are the files of an ensemble; empty for a single model."""
    paths = [load_path, *others]
    if not any(Path(path).is_file() for path in paths):
        raise FileNotFoundError(f"no weights at {', '.join(paths)}. Train the bundle first.")
    used = members or [load_path]
    missing = [path for path in dict.fromkeys((*used, *others)) if not Path(path).is_file()]
    if missing:
        raise FileNotFoundError(f"no weights at {', '.join(missing)}. Name a file of weights that is there.")
    problems = []
    for path in used:
        problem = file_problem(Path(path))
        if problem:
            problems.append(f"{path} {problem}.")
    if problems:
        advice = "Nothing was predicted. Train it again with a lower --learning_rate, or get the file again."
        raise ValueError(f"{' '.join(problems)} {advice}")


def _members(engine: Engine) -> list[str]:
    """The checkpoints that take turns in the network; none where it is used with the weights that it has."""
    inferer: Any = getattr(engine, "inferer", None)
    while inferer is not None:
        checkpoints = list(getattr(inferer, "checkpoints", ()))
        if len(checkpoints) > 1:
            return checkpoints
        inferer = getattr(inferer, "inferer", None)
    return []
