"""Share the cases of an evaluation out over processes, each case once."""

from __future__ import annotations

from collections.abc import Iterator, Sized

from torch.utils.data import Sampler


class ShardSampler(Sampler[int]):
    """Every `world_size`-th case, beginning at `rank`.

    The shards are uneven where the cases do not divide evenly. Only a process that would have none repeats a case:
    metrics that are gathered from all processes need a value from each.

    Args:
        dataset: whose length counts.
        rank: of this process.
        world_size: number of processes.
    """

    def __init__(self, dataset: Sized, rank: int = 0, world_size: int = 1) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(f"rank is {rank}; expected 0 to {world_size - 1}.")
        self.dataset = dataset
        self.rank = rank
        self.world_size = world_size

    def indices(self) -> list[int]:
        """The cases of this process."""
        count = len(self.dataset)
        return list(range(self.rank, count, self.world_size)) or ([self.rank % count] if count else [])

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices())

    def __len__(self) -> int:
        return len(self.indices())
