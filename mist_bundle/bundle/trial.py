"""Try what nobody has tried before: a user's own network or loss, or further arguments of one of the menu.

The menu's rows are tested; of anything else only a run tells whether it takes the arguments it is given and gives what
a training expects. That is found out before the bundle is made, and not in the first step of a training on a cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.worker import run_worker
from mist_bundle.errors import InputError, Problem

WORKER = "mist_bundle.bundle.trial_worker"
PARTS = {"network": "inference", "loss": "train"}  # what can be tried -> the configuration it stands in


def try_out(bundle: Path, parts: Sequence[str]) -> None:
    """Build the network or the loss of a bundle and run it once, each in a process of its own.

    Args:
        bundle: a bundle's folder, weights not needed.
        parts: of "network" and "loss".

    Raises:
        InputError: naming each that cannot be built, fails, or gives something else than a training needs.
    """
    problems = []
    for part in parts:
        config = Bundle(bundle).config_path(PARTS[part])
        request = {"bundle": str(bundle.absolute()), "config": str(config), "part": part}
        reason = run_worker(WORKER, request)
        if reason:
            text = f"was tried with the data's channels, classes and patch, and failed: {reason}"
            problems.append(Problem(f"--{part}, --{part}_arguments", text))
    if problems:
        raise InputError(problems)
