"""The cases of a folder of images that no datalist describes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..predictions.say import say
from ..reading.file_roles import match_files
from ..reading.formats import ENDINGS, image_stem, is_readable_name
from ..reading.joint import joint_image_of, order_of_channels


def cases_of_folder(folder: Path, channel_names: Sequence[str]) -> list[dict[str, Any]]:
    """List the cases of a folder of case folders or, for a single channel, of a folder of images.

    A case folder holds a file for each channel whose name ends with the channel, such as `t1.nii.gz` or
    `patient_7_t1.nrrd`, or an image with all channels in the order of the model.

    Args:
        folder: where the cases are.
        channel_names: channels of the model, in its order.

    Returns:
        Items {"id": str, "image": [absolute paths]}, sorted by id. A case whose files are missing or ambiguous is
        listed with the file that it should have, so that reading it fails under its name; the terminal says why.
    """
    items: list[dict[str, Any]] = []
    has_joint_images = False
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            images = _images_of_case(entry, channel_names)
            has_joint_images |= len(images) > len(set(images))
            items.append({"id": entry.name, "image": images})
        elif len(channel_names) == 1 and is_readable_name(entry):
            items.append({"id": image_stem(entry), "image": [str(entry)]})
    if has_joint_images:
        say(f"warning: {folder}: {order_of_channels(channel_names)}")
    return items


def _images_of_case(folder: Path, channel_names: Sequence[str]) -> list[str]:
    files = [file for file in sorted(folder.iterdir()) if is_readable_name(file) and not file.name.startswith(".")]
    patterns = {}
    for channel in channel_names:
        patterns[channel] = [f"{channel}{ending}" for ending in ENDINGS]
    chosen, findings = match_files(files, patterns)
    image, wrong = joint_image_of(files, chosen.values(), channel_names)
    if image is not None:
        return [str(image)] * len(channel_names)
    for finding in [wrong] if wrong else findings:
        say(f"warning: {folder.name}: {finding}")
    images = []
    for channel in channel_names:
        missing = folder / patterns[channel][0]
        images.append(str(chosen.get(channel, missing)))
    return images
