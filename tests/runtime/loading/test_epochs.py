"""When an epoch counts as done, and where a resumed loader begins."""

from __future__ import annotations

import pytest

from mist_bundle.runtime.loading.epochs import EpochCounter


def test_an_epoch_is_done_when_its_last_batch_is_handed_out() -> None:
    counter = EpochCounter()
    assert counter.state_dict() == {"epoch": 0}
    assert counter.start() == 0
    assert counter.state_dict() == {"epoch": 0}  # under way: a resumed run begins it anew
    counter.finish(0)
    assert counter.state_dict() == {"epoch": 1}
    assert counter.start() == 1


def test_an_epoch_broken_off_is_left_behind() -> None:
    counter = EpochCounter()
    counter.start()
    assert counter.start() == 1
    counter.finish(0)  # the older iteration ends late
    assert counter.state_dict() == {"epoch": 1}


def test_restoring() -> None:
    counter = EpochCounter()
    counter.start()
    counter.load_state_dict({"epoch": 5})
    assert counter.state_dict() == {"epoch": 5}
    assert counter.start() == 5
    counter.set(2)
    assert counter.start() == 2
    with pytest.raises(ValueError, match="the epoch must be at least 0, not -1"):
        counter.set(-1)
