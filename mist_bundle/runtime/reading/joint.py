"""The image of a case folder that holds all channels of the case, as 4D images and vector images do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..wording import counted
from .formats import num_channels
from .volume import UnreadableFileError


def joint_image_of(
    files: Sequence[Path], chosen: Iterable[Path], channel_names: Sequence[str]
) -> tuple[Path | None, str]:
    """The image of a case folder that holds all channels, and what is wrong with it.

    Args:
        files: images of the folder.
        chosen: those that bear the name of a channel. A volume among them means that each channel has its own file.
        channel_names: channels of the model, in its order.

    Returns:
        The image, or None where no image has this number of channels, as for a model with a single channel; a sentence
        where there are two such images, or where the only image cannot be read or has several channels, but not this
        number.
    """
    if len(channel_names) == 1:
        return None, ""
    named = set(chosen)
    held: dict[Path, int] = {}
    for file in files:
        try:
            held[file] = num_channels(file)
        except UnreadableFileError as error:
            if len(files) == 1 and not named:
                return None, str(error)
    if any(held.get(file, 1) == 1 for file in named):
        return None, ""
    fitting = [file for file, count in held.items() if count == len(channel_names)]
    if len(fitting) > 1:
        names = " and ".join(file.name for file in fitting)
        return None, f"{names} hold {len(channel_names)} channels each. Leave only the image to predict in the folder."
    if fitting:
        return fitting[0], ""
    if len(files) == 1 and held[files[0]] > 1:
        return None, wrong_number(files[0], held[files[0]], channel_names)
    return None, ""


def wrong_number(file: Path, held: int, channel_names: Sequence[str]) -> str:
    """A sentence about an image that has not as many channels as the model."""
    expected = f"{len(channel_names)} channels ({', '.join(channel_names)})"
    advice = "Give a file with all of them, case folders with a file for each channel, or a CSV or JSON table."
    return f"{file.name} holds {counted(held, 'channel')}, but the model takes {expected}. {advice}"


def order_of_channels(channel_names: Sequence[str]) -> str:
    """A sentence about the order in which the channels of an image are taken."""
    order = ", ".join(f"{number} is {name}" for number, name in enumerate(channel_names, start=1))
    return f"the channels in each image are taken for the model's in this order: {order}. Check that they are."
