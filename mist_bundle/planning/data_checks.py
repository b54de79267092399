"""Refusal of data that no plan can be made for: nothing to learn, or a grid that holds no voxels or too many."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from mist_bundle.catalog.choice import is_user_code
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.rules import joined
from mist_bundle.runtime.wording import list_names

if TYPE_CHECKING:
    from mist_bundle.analysis.fingerprint import Fingerprint

MAX_GRID_BYTES = 16e9  # of a channel: eight times what the rule for the spacing allows the largest image
_MIN_MEDIAN_VOXELS = 27


def refuse_nothing_to_learn(fingerprint: Fingerprint) -> None:
    """Raise InputError if no voxel of any case has a label."""
    foreground = sum(fingerprint.class_voxels.values()) - fingerprint.class_voxels.get(0, 0)
    if foreground == 0:
        message = f"hold no label other than 0 in all {len(fingerprint.cases)} cases: there is nothing to learn. "
        raise InputError(Problem("masks", message + 'Look at the files, and at "mask" in dataset.json.'))


def refuse_partly_annotated(fingerprint: Fingerprint, loss: str) -> None:
    """Raise InputError if some cases were annotated only in part and the loss is the user's own code."""
    partly = [case.id for case in fingerprint.cases if case.unlabelled]
    if partly and is_user_code(loss):
        message = (
            f"is your own code, which cannot know that {len(partly)} cases ({list_names(partly)}) were annotated only "
            "in part. Choose a loss from `mist-bundle losses`, or leave these cases out."
        )
        raise InputError(Problem("--loss", message))


def refuse_degenerate(
    fingerprint: Fingerprint, shape: Sequence[int], spacing_mm: Sequence[float], *, by_user: bool
) -> None:
    """Raise InputError if the median image has hardly a voxel on the grid of the plan, or fits no memory.

    Args:
        fingerprint: the cases, to name those with extreme voxel sizes.
        shape: shape of the median image on the grid.
        spacing_mm: spacing of the grid.
        by_user: whether the user chose this spacing.
    """
    is_flat = sorted(shape)[1] < 3  # thinner than three voxels on two axes
    num_bytes = 4 * prod(shape)
    if is_flat or prod(shape) < _MIN_MEDIAN_VOXELS:
        fault = "too few to learn from"
    elif num_bytes > MAX_GRID_BYTES:
        fault = f"{num_bytes / 1e9:.0f} GB for each channel"
    else:
        return
    grid = f"the median image has {joined(shape)} voxels on a grid of {joined(spacing_mm)} mm"
    if by_user:
        raise InputError(Problem("--target_spacing", f"is {list(spacing_mm)}: {grid}, {fault}. Choose another."))
    by_size = sorted(fingerprint.cases, key=lambda case: prod(case.spacing_mm))
    extremes = []
    for case in (by_size[0], by_size[-1]):
        extremes.append(f"{case.id} (voxels of {joined(case.spacing_mm)} mm)")
    names = " and ".join(dict.fromkeys(extremes))  # a single case is named once
    message = f"{grid}, {fault}. Look at the headers, first at those of {names}."
    raise InputError(Problem("images", message))
