"""The settings of the training loaders, checked once, and the share of each step's patches that a process computes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ..numerics.sharing import sharing_problem
from ..numerics.triples import Triple
from ..wording import did_you_mean
from .augmentation import Augmentation


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchSettings:
    """Which patches a training sees, and which of them this process computes.

    A step of the optimizer sees `batch_size` patches, however many processes train together. Patch i of step s is the
    same patch whichever process draws it: rank r takes the r-th of `world_size` equal shares, so a run on 8 processes
    sees what a single process sees. A process computes its share in a single pass, or in several equal passes whose
    gradients are accumulated.

    Attributes:
        patch_size: X, Y, Z in voxels.
        batch_size: patches of an optimizer step over all processes.
        batch_size_per_process: patches of an optimizer step on each process, in place of `batch_size`: the step then
            grows with the number of processes.
        accumulation_steps: passes that a single process needs for a step. No pass of any process is larger than a pass
            of that single process, so eight processes may need only a single pass each.
        steps_per_epoch: optimizer steps in an epoch; None for as many as show every case once (see `for_cases`).
        seed: the same on all ranks.
        rank: number of this process, 0 to world_size - 1.
        world_size: number of processes that train together.
        augmentation: what may be done to a patch.
        foreground_probability: share of the patches that are laid around a labelled voxel.

    Raises:
        ValueError: naming every setting that is out of bounds, or a batch that the processes cannot share evenly.
    """

    patch_size: Triple
    batch_size: int = 2
    batch_size_per_process: int | None = None
    accumulation_steps: int = 1
    steps_per_epoch: int | None = None
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    augmentation: Augmentation = field(default_factory=Augmentation)
    foreground_probability: float = 0.6

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ValueError("patch loader: " + " ".join(problems))
        if self.batch_size_per_process is not None:
            object.__setattr__(self, "batch_size", self.batch_size_per_process * self.world_size)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> PatchSettings:
        """Read a JSON object: lists in place of tuples, the augmentation as a dictionary.

        Raises:
            ValueError: as the class, and for a key that is not a setting.
        """
        known = [setting.name for setting in dataclasses.fields(cls)]
        for key in config:
            if key not in known:
                raise ValueError(f"patch loader: '{key}' is not a setting. {did_you_mean(key, known)}")
        values = dict(config)
        values["patch_size"] = tuple(config["patch_size"])
        values["augmentation"] = Augmentation.from_config(config.get("augmentation"))
        return cls(**values)

    def for_cases(self, num_cases: int) -> PatchSettings:
        """The same settings with `steps_per_epoch` filled in: as many as show each of `num_cases` once."""
        if self.steps_per_epoch is not None:
            return self
        return dataclasses.replace(self, steps_per_epoch=max(1, math.ceil(num_cases / self.batch_size)))

    @property
    def share(self) -> int:
        """Patches of an optimizer step that this process computes."""
        return self.batch_size // self.world_size

    @property
    def passes(self) -> int:
        """Passes through the network in which this process computes its share of a step."""
        alone = self.batch_size if self.batch_size_per_process is None else self.batch_size_per_process
        largest_pass = math.ceil(alone / self.accumulation_steps)
        passes = math.ceil(self.share / largest_pass)
        while self.share % passes:  # all passes hold the same number of patches, so their gradients weigh the same
            passes += 1
        return passes

    @property
    def patches_per_pass(self) -> int:
        """Patches in a batch that the loader yields."""
        return self.share // self.passes

    @property
    def passes_per_epoch(self) -> int:
        """Batches that the loader yields in an epoch, the same on every rank."""
        return (self.steps_per_epoch or 1) * self.passes

    @property
    def patches_per_epoch(self) -> int:
        """Patches of an epoch over all processes."""
        return (self.steps_per_epoch or 1) * self.batch_size

    def positions(self, number: int) -> range:
        """Where the patches of this process's batch `number` of an epoch stand in the epoch's row of patches."""
        step, number_in_step = divmod(number, self.passes)
        first = step * self.batch_size + self.rank * self.share + number_in_step * self.patches_per_pass
        return range(first, first + self.patches_per_pass)


def _problems(settings: PatchSettings) -> Iterator[str]:
    sizes = cast("Sequence[float]", settings.patch_size)  # configurations may hold anything
    whole = [size for size in sizes if int(size) == size and size >= 1]
    if len(sizes) != 3 or len(whole) != 3:
        yield f"patch_size must be three positive whole numbers, not {list(sizes)}."
    counts = ("batch_size", "batch_size_per_process", "accumulation_steps", "steps_per_epoch", "world_size")
    too_small = False
    for name in counts:
        value = getattr(settings, name)
        if value is not None and value < 1:
            too_small = True
            yield f"{name} must be at least 1, not {value}."
    if settings.seed < 0:
        yield f"seed must be at least 0, not {settings.seed}."
    if not 0 <= settings.rank < settings.world_size:
        yield f"rank must be from 0 to world_size - 1 = {settings.world_size - 1}, not {settings.rank}."
    if not 0 <= settings.foreground_probability <= 1:
        yield f"foreground_probability must be from 0 to 1, not {settings.foreground_probability}."
    if not too_small and settings.batch_size_per_process is None:
        uneven = sharing_problem(settings.batch_size, settings.world_size)
        if uneven:
            yield uneven
