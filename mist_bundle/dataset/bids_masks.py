"""Masks of single structures in BIDS derivatives: sub-01_label-liver_mask.nii.gz, or sub-01_desc-liver_mask.nii.gz."""

from __future__ import annotations

from collections.abc import Sequence

from mist_bundle.dataset.bids_names import BidsFile
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.wording import list_names, nearest_hint

MASK_SUFFIX = "mask"
_LABEL, _DESCRIPTION, _HEMISPHERE = "label", "desc", "hemi"


def are_by_structure(files: Sequence[BidsFile], chosen: Sequence[str]) -> bool:
    """Whether files hold a structure each: their names have the entity `label`, or the user names structures."""
    return bool(chosen) or any(_LABEL in file.entities for file in files)


def left_out(files: Sequence[BidsFile]) -> list[Problem]:
    """A warning about masks whose names do not say of which structure they are."""
    key = _key_of(files)
    unnamed = [file.path.name for file in files if key not in file.entities]
    if not unnamed:
        return []
    message = f"no structure is named by {key}- in {list_names(unnamed)}; left out. Rename such files, as {key}-liver."
    return [Problem("masks", message)]


def described(files: Sequence[BidsFile]) -> list[str]:
    """What masks of which none has a label are described as: structures, or ways in which the same was drawn."""
    return sorted({file.entities[_DESCRIPTION] for file in files if _DESCRIPTION in file.entities})


def _key_of(files: Sequence[BidsFile]) -> str:
    """The entity that names the structures."""
    return _LABEL if any(_LABEL in file.entities for file in files) else _DESCRIPTION


def masks_by_structure(
    files: Sequence[BidsFile], chosen: Sequence[str]
) -> tuple[tuple[str, ...], list[tuple[str, BidsFile]]]:
    """The structures in their order, and the masks of each.

    A structure is named by the entity `label`, or by `desc` where no file has a label, and by the hemisphere:
    `hemi-L_label-hippocampus` is `hippocampus_L`.

    Args:
        files: masks.
        chosen: the structures to use, in the order of the labels; by default all, sorted.

    Raises:
        InputError: a chosen structure has no mask.
    """
    key = _key_of(files)
    named: list[tuple[str, BidsFile]] = []
    for file in files:
        if key in file.entities:
            hemisphere = file.entities.get(_HEMISPHERE, "")
            named.append((f"{file.entities[key]}_{hemisphere}" if hemisphere else file.entities[key], file))
    occurring = sorted({name for name, _ in named})
    problems = []
    for name in chosen:
        if name not in occurring:
            hint = nearest_hint(name, occurring) or f"There are {list_names(occurring) if occurring else 'none'}."
            problems.append(Problem("--labels", f"names {name!r}, of which there is no mask. {hint}"))
    suffixes = {file.suffix for file in files}
    if problems and MASK_SUFFIX not in suffixes:
        message = (
            f"chooses masks of structures, but the files are *_{list_names(sorted(suffixes))}. Pass --suffix "
            f"{MASK_SUFFIX} if each structure has a mask, or leave --labels out to convert label maps."
        )
        raise InputError(Problem("--labels", message))
    if problems:
        raise InputError(problems)
    structures = tuple(chosen) or tuple(occurring)
    return structures, [(name, file) for name, file in named if name in structures]
