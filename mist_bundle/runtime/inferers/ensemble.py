"""Sliding-window prediction averaged over test-time flips and over the checkpoints of a cross-validation.

Only a running sum of probabilities and one prediction are in memory, whatever the number of flips and folds; where the
device has no room even for those, stitching moves to host memory. The same pass can tell how sure the average is.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from monai.utils import ensure_tuple_rep

from ..numerics.patch_fit import patch_problem
from ..values import truth

logger = logging.getLogger(__name__)


class EnsembleInferer:
    """Mean of the class probabilities over flips and checkpoints.

    Args:
        inferer: the sliding window.
        flip_axes: spatial axes (0, 1, 2) whose combinations of flips are averaged; none for no test-time augmentation.
        checkpoints: files of state dicts. With two or more, each is loaded into the network in turn; with fewer, the
            network is used as it is.
        patch_divisor: what the windows' axes must be multiples of.
        activation: "softmax" for classes that exclude each other, "sigmoid" for regions that may overlap.
        uncertainty: append two channels, both between 0 and 1. The first is the predictive entropy, that of the mean
            probabilities. The second is the part of it that comes from disagreement between folds and flips: entropy of
            the mean less mean of the entropies, which is the mutual information of class and member (Depeweg et al.,
            ICML 2018). Both are divided by the logarithm of the number of classes; of regions that may overlap they
            are the mean over the regions.

    Raises:
        ValueError: the network cannot take windows of the inferer's size.
    """

    def __init__(
        self,
        inferer: SlidingWindowInferer,
        flip_axes: Sequence[int] = (),
        checkpoints: Sequence[str] = (),
        patch_divisor: Sequence[int] = (1, 1, 1),
        activation: str = "softmax",
        uncertainty: bool = False,
    ) -> None:
        problem = patch_problem(ensure_tuple_rep(inferer.roi_size, 3), patch_divisor)
        if problem:
            raise ValueError(f"patch_size {problem}")
        if activation not in ("softmax", "sigmoid"):
            raise ValueError(f"activation is {activation!r}; expected softmax or sigmoid.")
        self.activation = activation
        self.inferer = inferer
        self.flip_axes = tuple(flip_axes)
        self.checkpoints = tuple(checkpoints)
        self.uncertainty = truth(uncertainty)
        self._states: dict[str, dict[str, torch.Tensor]] = {}

    @torch.no_grad()
    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """Probabilities (B, C, X, Y, Z) of the image (B, channels, X, Y, Z); after a softmax they sum to one over C.

        With `uncertainty`, (B, C + 2, X, Y, Z): the probabilities, entropy, disagreement.
        """
        image = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        total: torch.Tensor | None = None
        entropies: torch.Tensor | None = None
        count = 0
        for member in self._members(network):
            for axes in flip_combinations(self.flip_axes):
                probabilities = self._activate(self._stitch(_flip(image, axes), member))
                if self.uncertainty:
                    entropies = _add(entropies, self._entropy(probabilities), axes)
                total = _add(total, probabilities, axes)
                del probabilities
                count += 1
        if total is None:  # pragma: no cover - there is always the network and the unflipped image
            raise RuntimeError("nothing was predicted")
        total.div_(count)
        if entropies is None:
            return total
        of_mean = self._entropy(total)
        # rounding can take the difference below zero by the last digit
        disagreement = (of_mean - entropies.to(of_mean.device).div_(count)).clamp_(min=0)
        return torch.cat([total, of_mean, disagreement], dim=1)

    def _members(self, network: Any) -> Iterator[Any]:
        if len(self.checkpoints) < 2:
            yield network
            return
        for path in self.checkpoints:
            if path not in self._states:
                # mapped from the file: the system keeps in memory what it has room for
                self._states[path] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            _plain(network).load_state_dict(self._states[path])
            yield network

    def _activate(self, logits: torch.Tensor) -> torch.Tensor:
        return softmax_in_place(logits) if self.activation == "softmax" else logits.sigmoid_()

    def _entropy(self, probabilities: torch.Tensor) -> torch.Tensor:
        return entropy(probabilities) if self.activation == "softmax" else region_entropy(probabilities)

    def _stitch(self, inputs: torch.Tensor, network: Any) -> torch.Tensor:
        try:
            return self._window(inputs, network)
        except torch.OutOfMemoryError:
            if self.inferer.device is not None and torch.device(self.inferer.device).type == "cpu":
                raise
            logger.warning("The device has no room for the whole prediction: stitching in host memory from now on.")
            torch.cuda.empty_cache()
            self.inferer.device = torch.device("cpu")
            return self._window(inputs, network)

    def _window(self, inputs: torch.Tensor, network: Any) -> torch.Tensor:
        return cast("torch.Tensor", self.inferer(inputs, network))


def _plain(network: Any) -> Any:
    """The module inside torch.compile's wrapper, whose keys are those of the files; they share their weights."""
    return getattr(network, "_orig_mod", network)


def flip_combinations(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """All subsets of the axes, the empty one first: 8 for three axes."""
    return [subset for size in range(len(axes) + 1) for subset in itertools.combinations(axes, size)]


def softmax_in_place(logits: torch.Tensor) -> torch.Tensor:
    """Turn logits (B, C, …) into probabilities over C in their own memory."""
    logits.sub_(logits.amax(dim=1, keepdim=True)).exp_()
    return logits.div_(logits.sum(dim=1, keepdim=True))


def entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """Entropy over the classes of (B, C, …), divided by log C: (B, 1, …), 0 for certain, 1 for all classes alike."""
    classes = probabilities.shape[1]
    result = torch.zeros_like(probabilities[:, :1])
    for index in range(classes):
        one = probabilities[:, index : index + 1]
        result.sub_(torch.xlogy(one, one))
    return result.div_(math.log(max(2, classes)))


def region_entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """Mean over regions (B, C, …) that may overlap of the entropy of being inside or not, in units of log 2."""
    regions = probabilities.shape[1]
    result = torch.zeros_like(probabilities[:, :1])
    for index in range(regions):
        inside = probabilities[:, index : index + 1]
        result.sub_(torch.xlogy(inside, inside)).sub_(torch.xlogy(1 - inside, 1 - inside))
    return result.div_(math.log(2) * regions)


def _flip(volume: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    return torch.flip(volume, [2 + axis for axis in axes]) if axes else volume


def _add(total: torch.Tensor | None, volume: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    """Add a volume, flipped back, to the running sum; a channel at a time, since a flip is a copy."""
    if total is None:
        return _flip(volume, axes)
    total = total.to(volume.device)
    for channel in range(volume.shape[1]):
        total[:, channel : channel + 1].add_(_flip(volume[:, channel : channel + 1], axes))
    return total
