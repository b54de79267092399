"""Sliding-window prediction averaged over test-time flips and over the checkpoints of a cross-validation.

Only a running sum of probabilities and one prediction are in memory, whatever the number of flips and folds; where the
device has no room even for those, stitching moves to host memory.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from monai.inferers import SlidingWindowInferer
from monai.utils import ensure_tuple_rep

from ..numerics.patch_fit import patch_problem

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
        self._states: dict[str, dict[str, torch.Tensor]] = {}

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """Probabilities (B, C, X, Y, Z) of the image (B, channels, X, Y, Z); after a softmax they sum to one over C."""
        total: torch.Tensor | None = None
        count = 0
        for member in self._members(network):
            for axes in flip_combinations(self.flip_axes):
                probabilities = self._predict(inputs, member, axes)
                total = probabilities if total is None else total.add_(probabilities)
                count += 1
        if total is None:  # pragma: no cover - there is always the network and the unflipped image
            raise RuntimeError("nothing was predicted")
        return total.div_(count)

    def _members(self, network: Any) -> Iterator[Any]:
        if len(self.checkpoints) < 2:
            yield network
            return
        for path in self.checkpoints:
            if path not in self._states:
                self._states[path] = torch.load(path, map_location="cpu", weights_only=True)
            network.load_state_dict(self._states[path])
            yield network

    def _predict(self, inputs: torch.Tensor, network: Any, axes: tuple[int, ...]) -> torch.Tensor:
        dims = [2 + axis for axis in axes]
        flipped = torch.flip(inputs, dims) if dims else inputs
        logits = self._stitch(flipped, network)
        probabilities = torch.softmax(logits, dim=1) if self.activation == "softmax" else torch.sigmoid(logits)
        return torch.flip(probabilities, dims) if dims else probabilities

    def _stitch(self, inputs: torch.Tensor, network: Any) -> torch.Tensor:
        try:
            return cast("torch.Tensor", self.inferer(inputs, network))
        except torch.OutOfMemoryError:
            if self.inferer.device is not None and torch.device(self.inferer.device).type == "cpu":
                raise
            logger.warning("The device has no room for the whole prediction: stitching in host memory from now on.")
            torch.cuda.empty_cache()
            self.inferer.device = torch.device("cpu")
            return cast("torch.Tensor", self.inferer(inputs, network))


def flip_combinations(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """All subsets of the axes, the empty one first: 8 for three axes."""
    return [subset for size in range(len(axes) + 1) for subset in itertools.combinations(axes, size)]
