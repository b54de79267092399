"""Cases shared out over processes: each case once, and no process without any."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mist_bundle.runtime.loading.shards import ShardSampler


@given(st.integers(1, 40), st.integers(1, 16))
def test_each_case_belongs_to_a_single_process(num_cases: int, world_size: int) -> None:
    cases = [str(number) for number in range(num_cases)]
    shards = [list(ShardSampler(cases, rank, world_size)) for rank in range(world_size)]
    lengths = [len(shard) for shard in shards]
    assert min(lengths) >= 1
    assert max(lengths) - min(lengths) <= 1
    shared_out = sorted(itertools.chain.from_iterable(shards[: min(num_cases, world_size)]))
    assert shared_out == list(range(num_cases))


def test_a_process_without_cases_repeats_one() -> None:
    assert ShardSampler("ab", rank=3, world_size=4).indices() == [1]


def test_an_empty_list_stays_empty() -> None:
    assert len(ShardSampler([], rank=1, world_size=2)) == 0


@pytest.mark.parametrize(("rank", "world_size"), [(-1, 2), (2, 2)])
def test_a_rank_beyond_the_processes_is_refused(rank: int, world_size: int) -> None:
    with pytest.raises(ValueError, match=f"rank is {rank}; expected 0 to 1"):
        ShardSampler("abc", rank, world_size)
