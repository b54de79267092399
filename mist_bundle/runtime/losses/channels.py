"""What every loss compares: the channels of the network's scores with the channels of the truth.

Two forms, decided once for a bundle. *Classes* exclude each other: softmax scores, the background is channel 0, and the
terms that look at surfaces leave it out. *Regions* overlap: a sigmoid channel each, and none of them is a background.
Voxels that nobody has labelled (`ignore_index`) are zero in both scores and truth, get no gradient and are not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

Target = torch.Tensor | Mapping[str, torch.Tensor]


class Channels:
    """How scores and class indices become comparable; arguments as for `ChannelLoss`."""

    def __init__(
        self,
        regions: Sequence[Sequence[int]] | None = None,
        ignore_index: int | None = None,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        self.regions = None if regions is None else [list(map(int, region)) for region in regions]
        self.ignore_index = ignore_index
        self.class_weights = None if class_weights is None else list(map(float, class_weights))
        self._tensors: dict[tuple[str, int, torch.dtype, torch.device], torch.Tensor] = {}
        if self.class_weights is not None and (min(self.class_weights) < 0 or max(self.class_weights) == 0):
            raise ValueError(f"class_weights are {self.class_weights}; expected numbers of 0 or more, not all 0.")
        if self.regions and self.class_weights and len(self.regions) != len(self.class_weights):
            raise ValueError(f"{len(self.class_weights)} class_weights for {len(self.regions)} regions.")

    @property
    def exclusive(self) -> bool:
        """Whether a voxel has exactly one class."""
        return self.regions is None

    def valid(self, label: torch.Tensor) -> torch.Tensor | None:
        """(B, 1, X, Y, Z) voxels that count; None for all."""
        return None if self.ignore_index is None else label != self.ignore_index

    def compare(self, logits: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities and truth, both (B, C, X, Y, Z) of the logits' type, zero where a voxel does not count."""
        truth = self.truth(label, logits)
        scores = torch.softmax(logits, dim=1) if self.exclusive else torch.sigmoid(logits)
        valid = self.valid(label)
        # a selection and not a product: a probability that is no number must not leave its voxel
        return (scores if valid is None else torch.where(valid, scores, torch.zeros_like(scores))), truth

    def truth(self, label: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """(B, C, X, Y, Z) of the logits' type: 1 where a voxel is in the channel's class or region.

        Raises:
            ValueError: logits and label do not belong together.
        """
        if label.shape[1] != 1 or label.shape[0] != logits.shape[0] or label.shape[2:] != logits.shape[2:]:
            raise ValueError(f"scores {tuple(logits.shape)} and label {tuple(label.shape)} do not belong together.")
        if self.regions is None:
            classes = self._tensor("classes", range(logits.shape[1]), torch.int16, label.device)
            return (label == classes.view(1, -1, 1, 1, 1)).to(logits.dtype)
        if len(self.regions) != logits.shape[1]:
            raise ValueError(f"the network has {logits.shape[1]} outputs for {len(self.regions)} regions.")
        channels = []
        for number, members in enumerate(self.regions):
            indices = self._tensor(f"region {number}", members, label.dtype, label.device)
            channels.append(torch.isin(label, indices))
        return torch.cat(channels, dim=1).to(logits.dtype)

    def weights(self, like: torch.Tensor) -> torch.Tensor | None:
        """The class weights as a tensor on the device and of the type of another; None where there are none."""
        if self.class_weights is None:
            return None
        return self._tensor("weights", self.class_weights, like.dtype, like.device)

    def _tensor(self, name: str, values: Sequence[float], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """A small tensor, copied to the device once and not in every step."""
        key = (name, len(values), dtype, device)
        if key not in self._tensors:
            self._tensors[key] = torch.tensor(list(values), dtype=dtype, device=device)
        return self._tensors[key]

    def foreground(self, channels: torch.Tensor) -> torch.Tensor:
        """The channels without the background, of a (B, C, ...) tensor."""
        return channels[:, 1:] if self.exclusive else channels

    def weighted_mean(self, losses: torch.Tensor, *, foreground: bool = False) -> torch.Tensor:
        """Mean over samples and channels of (B, C) losses, each channel times its weight.

        Args:
            losses: a value for each sample and channel.
            foreground: the background's channel has been left out.
        """
        weights = self.weights(losses)
        if weights is None:
            return losses.mean()
        weights = weights[1:] if foreground and self.exclusive else weights
        if len(weights) != losses.shape[1]:
            raise ValueError(f"{len(weights)} class_weights for {losses.shape[1]} channels.")
        return (losses * weights).mean()


class ChannelLoss(nn.Module):
    """A loss over the channels of scores and truth.

    Args:
        regions: class indices of each region; None where the classes exclude each other.
        ignore_index: the index of voxels that do not count.
        class_weights: a factor for each channel (background included), which its loss is multiplied by.
    """

    def __init__(
        self,
        regions: Sequence[Sequence[int]] | None = None,
        ignore_index: int | None = None,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.channels = Channels(regions, ignore_index, class_weights)


def label_of(target: Target) -> torch.Tensor:
    """The class indices (B, 1, X, Y, Z) of a target, whether or not distance maps come with it."""
    return target["label"] if isinstance(target, Mapping) else target


def distance_maps_of(target: Target, logits: torch.Tensor) -> torch.Tensor:
    """The signed distance maps (B, C, X, Y, Z) of a target.

    Raises:
        ValueError: there are no maps, or channels without a map.
    """
    if not isinstance(target, Mapping) or "dtm" not in target:
        raise ValueError(
            "this loss needs distance maps ('dtm'), but the loader yields none. Configure the bundle for it."
        )
    maps = target["dtm"]
    if maps.shape != logits.shape:
        raise ValueError(f"there are distance maps {tuple(maps.shape)} for scores {tuple(logits.shape)}.")
    return maps.to(logits.dtype)


def spatial_mean(values: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
    """(B, C) means of (B, C, X, Y, Z) values over the voxels that count; 0 where none does."""
    flat = values.flatten(2)
    if valid is None:
        return flat.mean(dim=2)
    return flat.sum(dim=2) / valid.flatten(2).sum(dim=2).clamp_min(1)
