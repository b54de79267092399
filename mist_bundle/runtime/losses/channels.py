"""What every loss compares: the channels of the network's scores with the channels of the truth.

Two forms, decided once for a bundle. *Classes* exclude each other: softmax scores, the background is channel 0, and the
terms that look at surfaces leave it out. *Regions* overlap: a sigmoid channel each, and none of them is a background.
Voxels that nobody has labelled (`ignore_index`) are zero in both scores and truth, get no gradient and are not counted.

In a case where only some classes were annotated, the unmarked voxels have a *mixed* index: they are background or any
class that was not annotated. For classes, the probabilities of these are added up there and count as background
(marginal loss; Fang and Yan, IEEE TMI 2020; Shi et al., MedIA 2021). The channels of classes or regions that are
unknown in a sample do not count in its loss.
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
        mixed: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.mixed: dict[int, list[int]] = {}
        for index, classes in (mixed or {}).items():
            self.mixed[int(index)] = sorted(map(int, classes))
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
        if self.mixed:
            scores = self._merged(scores, label) if self.exclusive else scores
            known = self.known(label, logits)[:, :, None, None, None]
            scores, truth = torch.where(known, scores, torch.zeros_like(scores)), truth * known
        valid = self.valid(label)
        # a selection and not a product: a probability that is not a number must not leave its voxel
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
            truth = label == classes.view(1, -1, 1, 1, 1)
            if self.mixed:
                truth[:, :1] |= self._is_mixed(label)
            return truth.to(logits.dtype)
        if len(self.regions) != logits.shape[1]:
            raise ValueError(f"the network has {logits.shape[1]} outputs for {len(self.regions)} regions.")
        channels = []
        for number, members in enumerate(self.regions):
            indices = self._tensor(f"region {number}", members, label.dtype, label.device)
            channels.append(torch.isin(label, indices))
        return torch.cat(channels, dim=1).to(logits.dtype)

    def _is_mixed(self, label: torch.Tensor) -> torch.Tensor:
        return torch.isin(label, self._tensor("mixed", list(self.mixed), label.dtype, label.device))

    def known(self, label: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """(B, C) whether the class or region of a channel is known everywhere in a sample."""
        known = torch.ones(logits.shape[:2], dtype=torch.bool, device=logits.device)
        for index, classes in self.mixed.items():
            occurs = (label == index).flatten(1).any(dim=1)
            for channel in self._unknown_channels(classes):
                known[:, channel] &= ~occurs
        return known

    def _unknown_channels(self, classes: Sequence[int]) -> list[int]:
        """The channels that cannot be told where a voxel has any of these classes, of which the first is background."""
        if self.regions is None:
            return list(classes[1:])
        unknown = set(classes[1:])
        return [channel for channel, members in enumerate(self.regions) if unknown & set(members)]

    def _merged(self, scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """The probabilities (B, C, ...) with those of the classes that a voxel may have in its background."""
        for index, classes in self.mixed.items():
            here = label == index
            members = self._member_mask(classes, scores)
            total = (scores * members).sum(dim=1, keepdim=True)
            merged = torch.cat([total, (scores * ~members)[:, 1:]], dim=1)
            scores = torch.where(here, merged, scores)
        return scores

    def log_scores(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Logarithms (B, C, ...) of the softmax; the background's is that of all classes that a voxel may have."""
        log_scores = torch.log_softmax(logits, dim=1)
        background = log_scores[:, :1]
        for index, classes in self.mixed.items():
            members = self._member_mask(classes, log_scores)
            either = torch.where(members, log_scores, torch.full_like(log_scores, -torch.inf))
            background = torch.where(label == index, either.logsumexp(dim=1, keepdim=True), background)
        return torch.cat([background, log_scores[:, 1:]], dim=1) if self.mixed else log_scores

    def _member_mask(self, classes: Sequence[int], scores: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(scores.shape[1], dtype=torch.bool, device=scores.device)
        mask[list(classes)] = True
        return mask.view(1, -1, 1, 1, 1)

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

    def weighted_mean(
        self, losses: torch.Tensor, *, foreground: bool = False, known: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Mean over samples and channels of (B, C) losses, each channel times its weight.

        Args:
            losses: a value for each sample and channel.
            foreground: the background's channel has been left out.
            known: (B, C) the values that count, the background's channel included; None for all.
        """
        weights = self.weights(losses)
        if weights is not None:
            weights = weights[1:] if foreground and self.exclusive else weights
            if len(weights) != losses.shape[1]:
                raise ValueError(f"{len(weights)} class_weights for {losses.shape[1]} channels.")
            losses = losses * weights
        if known is None or not self.mixed:
            return losses.mean()
        known = self.foreground(known) if foreground else known
        return torch.where(known, losses, torch.zeros_like(losses)).sum() / known.sum().clamp_min(1)


class ChannelLoss(nn.Module):
    """A loss over the channels of scores and truth.

    Args:
        regions: class indices of each region; None where the classes exclude each other.
        ignore_index: the index of voxels that do not count.
        class_weights: a factor for each channel (background included), which its loss is multiplied by.
        mixed: further class index (as text, for JSON) -> the classes that its voxels may have, 0 among them.
    """

    def __init__(
        self,
        regions: Sequence[Sequence[int]] | None = None,
        ignore_index: int | None = None,
        class_weights: Sequence[float] | None = None,
        mixed: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        self.channels = Channels(regions, ignore_index, class_weights, mixed)

    def known(self, target: Target, logits: torch.Tensor) -> torch.Tensor | None:
        """(B, C) the channels that are known in each sample; None where all are."""
        return self.channels.known(label_of(target), logits) if self.channels.mixed else None


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
