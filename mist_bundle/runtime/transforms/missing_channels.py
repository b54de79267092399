"""Channels that a case lacks become 0, the mean of a normalised image, as in patches that training dropped them in."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform

from .volume import as_volume, new_volume

MISSING = "missing"  # entry of a case that names the channels that it lacks


class MissingChannelsd(MapTransform):
    """Set the channels that a case lacks to 0. Comes after the normalisation.

    The image of such a case holds a copy of another channel in their place, so that the same steps lead to it.

    Args:
        keys: images (C, X, Y, Z).
        channel_names: of the image.
        absent: names of channels that are left out of every case, to see what they are worth.

    Raises:
        ValueError: a channel has another name than those of the image.
    """

    def __init__(self, keys: KeysCollection, channel_names: Sequence[str], absent: Sequence[str] = ()) -> None:
        super().__init__(keys)
        self.channel_names = list(channel_names)
        self.absent = list(absent)
        self._numbers(self.absent)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        result = dict(data)
        names = [name for name in str(data.get(MISSING) or "").split(",") if name]
        numbers = self._numbers([*self.absent, *names])
        if numbers:
            for key in self.key_iterator(result):
                array = as_volume(result[key], key).copy()
                array[numbers] = 0
                result[key] = new_volume(array, result[key])
        return result

    def _numbers(self, names: Sequence[str]) -> list[int]:
        unknown = [name for name in names if name not in self.channel_names]
        if unknown:
            message = f"there is no channel {', '.join(unknown)}; the channels are {', '.join(self.channel_names)}."
            raise ValueError(message)
        return sorted({self.channel_names.index(name) for name in names})
