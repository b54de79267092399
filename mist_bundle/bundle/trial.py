"""Trial run of a user's own network or loss, or of further arguments for a network or loss of the menu.

The rows of the menu are tested. For anything else only a run shows whether it accepts its arguments and returns what a
training expects; the trial shows it before the bundle appears, not in the first step of a training on a cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.worker import run_worker
from mist_bundle.errors import InputError, Problem

WORKER = "mist_bundle.bundle.trial_worker"
PARTS = {"network": "inference", "loss": "train"}  # part -> the configuration that holds it


def try_out(bundle: Path, parts: Sequence[str]) -> None:
    """Build the network or the loss of a bundle and run it once, each in a process of its own.

    Args:
        bundle: folder of the bundle; it needs no weights.
        parts: "network", "loss" or both.

    Raises:
        InputError: a part cannot be built, fails, or returns something that a training cannot use; names each.
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
