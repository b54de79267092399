"""Sliding-window prediction averaged over test-time flips and over the checkpoints of a cross-validation, as a stream.

Windows come in order along the longest axis. In each of them all folds and flips are averaged; the windows' scores are
blended in cells (see windows.py), and a cell is yielded as soon as no later window reaches it. So memory grows with
the cross-section of the image at most, and `cells_gb` bounds even that: what is left waits on the disk.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from monai.data import MetaTensor
from monai.data.utils import compute_importance_map
from monai.inferers import SlidingWindowInferer
from monai.utils import ensure_tuple_rep

from ..numerics.patch_fit import patch_problem
from ..values import truth
from .cells import CellStore
from .engine import Engine
from .entropy import entropy, region_entropy
from .patches import Box, cut_patch, flip, relative_box
from .windows import MONAI, NNUNET, Index, Windows, flip_combinations, gaussian_of_nnunet

logger = logging.getLogger(__name__)

# what is averaged over flips and folds; JOINED are probabilities after each member's windows were joined
PROBABILITIES, LOGITS, JOINED = "probabilities", "logits", "joined"
_SMALLEST_PROBABILITY = 1e-30


class EnsembleInferer:
    """Class probabilities, averaged over flips and checkpoints in each window and blended between windows.

    What is blended is the logarithm of a window's mean probabilities: for a single network without flips that is its
    logits, as MONAI's sliding window blends them, and where no windows overlap it is the plain mean of the members.
    With `average="logits"` the mean of the members' logits is blended.

    Args:
        inferer: the sliding window: its size, batch size, overlap and blending.
        flip_axes: spatial axes (0, 1, 2) whose combinations of flips are averaged; none for no test-time augmentation.
        checkpoints: files of state dicts. With two or more, all are loaded at once and take turns in the network; with
            fewer, the network is used as it is.
        patch_divisor: what the windows' axes must be multiples of.
        activation: "softmax" for classes that exclude each other, "sigmoid" for regions that may overlap.
        uncertainty: append two channels, both between 0 and 1. The first is the predictive entropy, that of the mean
            probabilities. The second is the part of it that comes from disagreement between folds and flips: entropy of
            the mean less mean of the entropies, which is the mutual information of class and member (Depeweg et al.,
            ICML 2018). Both are divided by the logarithm of the number of classes; of regions that may overlap they
            are the mean over the regions.
        cells_gb: memory for what is not complete yet.
        tiling: where windows lie and how they are weighted: "monai", or "nnunet" as nnU-Net does.
        average: what is averaged over flips and folds: "probabilities" of each window, or "logits" as nnU-Net does, or
            "joined": each member's windows are laid on the flipped image, its logits are blended, and the probabilities
            of the whole averaged, as MIST does. That takes the memory of all members for what is not complete yet.
        engine: what runs the network: "torch", "openvino", or "auto" (see `engine.Engine`).

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
        cells_gb: float = 1.0,
        tiling: str = MONAI,
        average: str = PROBABILITIES,
        engine: str = "torch",
    ) -> None:
        problem = patch_problem(ensure_tuple_rep(inferer.roi_size, 3), patch_divisor)
        if problem:
            raise ValueError(f"patch_size {problem}")
        if activation not in ("softmax", "sigmoid"):
            raise ValueError(f"activation is {activation!r}; expected softmax or sigmoid.")
        if float(cells_gb) < 0:
            raise ValueError(f"cells_gb is {cells_gb}; expected 0 or more.")
        for name, value, known in (
            ("tiling", tiling, (MONAI, NNUNET)),
            ("average", average, (PROBABILITIES, LOGITS, JOINED)),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}; expected {' or '.join(known)}.")
        self.tiling = tiling
        self.average = average
        self.activation = activation
        self.inferer = inferer
        self.flip_axes = tuple(flip_axes)
        self.checkpoints = tuple(checkpoints)
        self.uncertainty = truth(uncertainty)
        self.cells_gb = float(cells_gb)
        self.engine = Engine(engine)
        self._states: dict[str, dict[str, torch.Tensor]] = {}
        self._blend_on_cpu = False  # once memory was short
        self._num_channels = 0  # of the scores, known after the first window

    @torch.no_grad()
    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """Probabilities (B, C, X, Y, Z) of the image (B, channels, X, Y, Z); after a softmax they sum to 1 over C.

        With `uncertainty`, (B, C + 2, X, Y, Z): the probabilities, entropy, disagreement.
        """
        images = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        wholes = []
        for image in images:
            whole: torch.Tensor | None = None
            for box, cell in self.stream(image, network):
                if whole is None:
                    whole = torch.empty((len(cell), *image.shape[1:]), dtype=cell.dtype, device=cell.device)
                whole[(slice(None), *box)] = cell
            if whole is None:  # pragma: no cover - every image has a cell
                raise RuntimeError("nothing was predicted")
            wholes.append(whole)
        return torch.stack(wholes)

    def windows(self, shape: Sequence[int]) -> Windows:
        """The windows over an image of (X, Y, Z) voxels."""
        size = ensure_tuple_rep(self.inferer.roi_size, 3)
        laid_anew = self.flip_axes if self.average == JOINED else ()  # other flips are those of single windows
        return Windows(shape, size, self.inferer.overlap, self.tiling, laid_anew)

    @torch.no_grad()
    def stream(self, image: torch.Tensor, network: Callable[..., Any]) -> Iterator[tuple[Box, torch.Tensor]]:
        """Yield the cells of an image (channels, X, Y, Z) in order, each once.

        Yields:
            Where it lies and its channels (C or C + 2, x, y, z), on the device of the windows or the inferer's own.
        """
        for _, box, cell in self.cells(image, network):
            yield box, cell

    @torch.no_grad()
    def cells(
        self, image: torch.Tensor, network: Callable[..., Any], *, activate: bool = True
    ) -> Iterator[tuple[Index, Box, torch.Tensor]]:
        """The same with the number of each cell along the axes.

        Args:
            image: (channels, X, Y, Z).
            network: what predicts a batch of windows.
            activate: yield probabilities; or else what was blended, for `activated`: logits, and with `uncertainty`
                the mean entropy of the members.
        """
        windows = self.windows(image.shape[1:])
        weights = self._weights(image.device)
        store = CellStore(self.cells_gb * 1e9)
        waiting = _placed_windows(windows)
        try:
            while batch := list(itertools.islice(waiting, self._batch_size(image, weights))):
                patches = torch.stack([_shown(image, windows, placed) for placed in batch])
                scores = list(self._within_memory(patches, network, store))
                del patches
                self._num_channels = len(scores[0])
                for placed in batch:
                    self._add(windows, store, placed, scores.pop(0), weights)
                    if not placed.is_last:
                        continue
                    for cell in windows.completed(placed.window):
                        sums = store.take(cell)
                        if sums is None:  # pragma: no cover - its last window has just reached it
                            raise RuntimeError("a cell was completed that no window reached")
                        blended = sums[:, :-1].div_(sums[:, -1:]).flatten(0, 1)
                        yield cell, windows.box(cell), self.activated(blended) if activate else blended
                        del sums, blended
        finally:
            store.close()

    def _batch_size(self, image: torch.Tensor, weights: torch.Tensor) -> int:
        """Windows computed at a time: on a CPU at most as many as the memory for cells can hold, but at least 1."""
        batch_size = int(self.inferer.sw_batch_size)
        if image.device.type != "cpu":
            return batch_size
        if self._num_channels == 0:  # not known before the first window
            return 1
        bytes_per_window = weights.numel() * self._num_channels * weights.element_size()
        return max(1, min(batch_size, int(self.cells_gb * 1e9 / bytes_per_window)))

    def _weights(self, device: torch.device) -> torch.Tensor:
        size = ensure_tuple_rep(self.inferer.roi_size, 3)
        if self.tiling == NNUNET and self.inferer.mode == "gaussian":
            return gaussian_of_nnunet(size, ensure_tuple_rep(self.inferer.sigma_scale, 3)).to(device)
        weights = compute_importance_map(
            size, mode=self.inferer.mode, sigma_scale=self.inferer.sigma_scale, device=device, dtype=torch.float32
        )
        return weights.reshape(size)

    def _add(
        self, windows: Windows, store: CellStore, placed: _Placed, score: torch.Tensor, weights: torch.Tensor
    ) -> None:
        """Add a window, flipped back, to the sums of its cells, whose last channel counts the weights."""
        start, flipped = windows.start(placed.window), windows.layouts[placed.layout]
        score, weights = flip(score[None], flipped)[0], flip(weights[None, None], flipped)[0, 0]
        place = (placed.layout, len(windows.layouts))
        for cell in windows.reached(placed.window):
            box = windows.box(cell)
            inside = relative_box(box, start)
            try:
                _add_to_cell(store, cell, place, score[(slice(None), *inside)], weights[inside])
            except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._spare(store)
                score = score.cpu()
                _add_to_cell(store, cell, place, score[(slice(None), *inside)], weights[inside])

    def _spare(self, store: CellStore) -> None:
        """Keep no sums in memory from now on, neither the device's nor the machine's."""
        if store.memory_bytes > 0:
            logger.warning("Memory is short: sums of windows wait on the disk from now on.")
        store.memory_bytes = 0
        store.spill()
        self._blend_on_cpu = True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def activated(self, blended: torch.Tensor) -> torch.Tensor:
        """Probabilities, and with `uncertainty` its two channels, of what was blended, which is overwritten."""
        if self.average == JOINED and self._num_members > 1:
            return self._mean_of_joined(blended)
        if not self.uncertainty:
            return self._activate(blended[None])[0]
        probabilities = self._activate(blended[None, :-1])
        of_mean = self._entropy(probabilities)
        # rounding can take the difference below zero by the last digit; a single member does not disagree
        apart = (of_mean - blended[None, -1:]).clamp_(min=0) if self._num_members > 1 else torch.zeros_like(of_mean)
        return torch.cat([probabilities, of_mean, apart], dim=1)[0]

    def _within_memory(self, patches: torch.Tensor, network: Any, store: CellStore) -> torch.Tensor:
        """The scores of a batch; where memory is short window by window, with nothing else in memory."""
        try:
            return self._scores(patches, network)
        except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        self._spare(store)
        if len(patches) == 1:
            return self._scores(patches, network)
        logger.warning("There is no room for %d windows at a time: window by window from now on.", len(patches))
        self.inferer.sw_batch_size = 1
        return torch.cat([self._scores(patch[None], network) for patch in patches])

    @property
    def _num_members(self) -> int:
        folds = len(self.checkpoints) if len(self.checkpoints) > 1 else 1
        return folds * len(flip_combinations(self.flip_axes))

    def _scores(self, patches: torch.Tensor, network: Any) -> torch.Tensor:
        """What is blended of a batch of windows: logits of the mean member, and with `uncertainty` the mean entropy."""
        if self._num_members == 1 and not self.uncertainty:
            return self._place(_predict(self.engine.member(network, patches), patches))
        if self.average == JOINED and self._num_members > 1:
            of_folds = [_predict(member, patches) for member in self._members(network, patches)]
            return self._place(torch.cat(of_folds, dim=1))
        total: torch.Tensor | None = None
        entropies: torch.Tensor | None = None
        for member in self._members(network, patches):
            for axes in flip_combinations(self.flip_axes):
                averaged = _predict(member, flip(patches, axes))
                if self.average == PROBABILITIES and self._num_members > 1:
                    averaged = self._activate(averaged)
                if self.uncertainty:
                    entropies = _add(entropies, self._entropy_of_member(averaged), axes)
                total = _add(total, averaged, axes)
        if total is None:  # pragma: no cover - there is always the network and the unflipped image
            raise RuntimeError("nothing was predicted")
        scores = total.div_(self._num_members)
        if self.average == PROBABILITIES and self._num_members > 1:
            scores = self._logits(scores)
        if entropies is not None:
            scores = torch.cat([scores, entropies.div_(self._num_members)], dim=1)
        return self._place(scores)

    def _mean_of_joined(self, blended: torch.Tensor) -> torch.Tensor:
        """`activated` of the logits of all members, one after the other in the channels."""
        total, entropies = torch.zeros(()), torch.zeros(())
        for logits in blended.chunk(self._num_members):
            probabilities = self._activate(logits[None])
            total = total + probabilities / self._num_members
            if self.uncertainty:
                entropies = entropies + self._entropy(probabilities) / self._num_members
        if not self.uncertainty:
            return total[0]
        of_mean = self._entropy(total)
        return torch.cat([total, of_mean, (of_mean - entropies).clamp_(min=0)], dim=1)[0]

    def _entropy_of_member(self, averaged: torch.Tensor) -> torch.Tensor:
        """Entropy of what a member gives to the mean, probabilities or logits."""
        if self.average == LOGITS or self._num_members == 1:
            averaged = self._activate(averaged.clone())
        return self._entropy(averaged)

    def _logits(self, probabilities: torch.Tensor) -> torch.Tensor:
        if self.activation == "softmax":
            return probabilities.clamp_(min=_SMALLEST_PROBABILITY).log_()
        return probabilities.clamp_(min=_SMALLEST_PROBABILITY, max=1 - torch.finfo(torch.float32).eps / 2).logit_()

    def _place(self, scores: torch.Tensor) -> torch.Tensor:
        """On the device where windows are blended."""
        if self._blend_on_cpu:
            return scores.cpu()
        if self.inferer.device is not None:
            return scores.to(self.inferer.device)
        if scores.is_cuda and scores.numel() * scores.element_size() > torch.cuda.mem_get_info()[0] / 8:
            return scores.cpu()
        return scores

    def _members(self, network: Any, patches: torch.Tensor) -> Iterator[Any]:
        if len(self.checkpoints) < 2:
            yield self.engine.member(network, patches)
            return
        inner = _plain(network)
        device = next(inner.parameters()).device
        for path in self.checkpoints:
            if self.engine.knows(network, patches, path):
                yield self.engine.member(network, patches, path)
                continue
            if path not in self._states:
                # on the device once for all: each window asks for every fold; on a CPU mapped from the file
                loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
                self._states[path] = {name: value.to(device) for name, value in loaded.items()}
            inner.load_state_dict(self._states[path])
            yield self.engine.member(network, patches, path)

    def _activate(self, logits: torch.Tensor) -> torch.Tensor:
        return softmax_in_place(logits) if self.activation == "softmax" else logits.sigmoid_()

    def _entropy(self, probabilities: torch.Tensor) -> torch.Tensor:
        return entropy(probabilities) if self.activation == "softmax" else region_entropy(probabilities)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory, a device's or the machine's: torch has a class for the former only."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A window that the network sees, in one of the layouts that have it.

    Attributes:
        window: its number along each axis.
        layout: number of the layout.
        is_last: whether no other layout of the window is still to come.
    """

    window: Index
    layout: int
    is_last: bool


def _placed_windows(windows: Windows) -> Iterator[_Placed]:
    for window in windows:
        layouts = windows.layouts_of(window)
        for layout in layouts:
            yield _Placed(window, layout, layout == layouts[-1])


def _add_to_cell(
    store: CellStore, cell: Index, place: tuple[int, int], part: torch.Tensor, weight: torch.Tensor
) -> None:
    """Add a part of a window; the cell stays as it was where memory is short.

    Args:
        store: keeps the sums (layouts, C + 1, x, y, z) of cells.
        cell: its number along the axes.
        place: number of the window's layout, and number of layouts.
        part: (C, x, y, z).
        weight: (x, y, z).
    """
    layout, num_layouts = place
    weight = weight.to(part.device)
    sums = store.take(cell)
    if sums is None:
        placed = torch.zeros((num_layouts, len(part) + 1, *weight.shape), dtype=torch.float32, device=part.device)
    else:
        try:
            placed = sums.to(part.device)
        except BaseException:
            store.put(cell, sums)
            raise
    placed[layout, :-1].addcmul_(part, weight)
    placed[layout, -1].add_(weight)
    store.put(cell, placed)


def _shown(image: torch.Tensor, windows: Windows, placed: _Placed) -> torch.Tensor:
    """A window (channels, x, y, z) as its layout shows it to the network."""
    x, y, z = windows.axes
    patch = cut_patch(image, windows.start(placed.window), (x.size, y.size, z.size))
    return flip(patch[None], windows.layouts[placed.layout])[0]


def _predict(network: Any, patches: torch.Tensor) -> torch.Tensor:
    output = network(patches)
    return (output.as_tensor() if isinstance(output, MetaTensor) else output).float()


def _plain(network: Any) -> Any:
    """The module inside torch.compile's wrapper, whose keys are those of the files; they share their weights."""
    return getattr(network, "_orig_mod", network)


def softmax_in_place(logits: torch.Tensor) -> torch.Tensor:
    """Turn logits (B, C, …) into probabilities over C in their own memory."""
    logits.sub_(logits.amax(dim=1, keepdim=True)).exp_()
    return logits.div_(logits.sum(dim=1, keepdim=True))


def _add(total: torch.Tensor | None, volume: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    """Add a volume, flipped back, to the running sum; a channel at a time, since a flip is a copy."""
    if total is None:
        return flip(volume, axes)
    for channel in range(volume.shape[1]):
        total[:, channel : channel + 1].add_(flip(volume[:, channel : channel + 1], axes))
    return total
