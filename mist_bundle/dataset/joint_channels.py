"""Images that hold all channels of a case in a single file, as 4D images and vector images do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mist_bundle.dataset.cases import Case, CaseList
from mist_bundle.dataset.layout import split_channels
from mist_bundle.dataset.volumes import num_channels, read_channels
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.reading.formats import image_stem
from mist_bundle.runtime.reading.joint import order_of_channels, wrong_number

JOINT_COLUMN = "image"  # of a table whose files hold all channels


def holds_joint_channels(files: Iterable[Path], count: int) -> bool:
    """Whether any of the images has this number of channels, or each has several, by their headers.

    A single image of another number is something else: a diffusion series beside the images of the channels.
    """
    held = []
    for file in files:
        with suppress(InputError):  # whoever reads the file says what is wrong with it
            held.append(num_channels(file))
    return count in held or min(held, default=1) > 1


def order_remark(place: str, channel_names: Sequence[str]) -> Problem:
    """A warning that the channels of images are taken in the order of the model."""
    return Problem(place, order_of_channels(channel_names))


def joint_cases(
    place: str, files: Sequence[tuple[str, Path]], channel_names: Sequence[str], known: Sequence[Problem] = ()
) -> CaseList:
    """Take each image for a case with all its channels, in the order of the model.

    Args:
        place: where the images were named, for the remark about their order.
        files: id of a case and its image.
        channel_names: channels of the model, in its order.
        known: problems of other cases.

    Returns:
        The cases, each with the same file for every channel, and a problem for each image that has another number of
        channels or cannot be read.

    Raises:
        InputError: no image can be used.
    """
    cases: list[Case] = []
    problems = list(known)
    for case_id, file in files:
        try:
            held = num_channels(file)
        except InputError as error:
            problems += [Problem(case_id, str(problem)) for problem in error.problems]
            continue
        if held != len(channel_names):
            problems.append(Problem(case_id, wrong_number(file, held, channel_names)))
            continue
        cases.append(Case(id=case_id, images=dict.fromkeys(channel_names, file)))
    if not cases:
        raise InputError(problems)
    return CaseList(cases=tuple(cases), problems=tuple(problems), warnings=(order_remark(place, channel_names),))


def joint_images(files: Sequence[Path]) -> list[tuple[str, Path]]:
    """The id of the case of each image, by the image's name, and the image."""
    named = []
    for file in files:
        named.append((image_stem(file), file))
    return named


def joint_image(case: Case) -> Path | None:
    """The file that holds all channels of a case; None where each channel has a file of its own."""
    files = set(case.images.values())
    return files.pop() if len(files) == 1 and len(case.images) > 1 else None


def with_split_channels(cases: Sequence[Case], folder: Path) -> tuple[list[Case], list[Problem]]:
    """The cases with a file for each channel: the channels of joint images are written to `folder/<id>`.

    Args:
        cases: of which some may be joint images.
        folder: for the channels.

    Returns:
        The cases, and a Problem for each whose image cannot be read.
    """
    separate: list[Case] = []
    problems: list[Problem] = []
    for case in cases:
        image = joint_image(case)
        if image is None:
            separate.append(case)
            continue
        try:
            read_channels(image)  # checks its voxels, which the header alone does not
            split_channels(image, folder / case.id, list(case.images))
        except InputError as error:
            problems += [Problem(case.id, str(problem)) for problem in error.problems]
            continue
        images = {name: folder / case.id / f"{name}.nii.gz" for name in case.images}
        separate.append(replace(case, images=images))
    return separate, problems
