"""Machines without a common disk agree on the state that a training continues from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mist_bundle.runtime.handlers import agreement
from mist_bundle.runtime.handlers.agreement import any_process, latest_state


class _Machines:
    """What torch.distributed hands around between machines of which this process is one."""

    def __init__(self, rank: int, gathered: list[Any], sent: list[Any]) -> None:
        self.rank, self.gathered, self.sent = rank, gathered, sent
        self.source: int | None = None

    def is_initialized(self) -> bool:
        return True

    def get_rank(self) -> int:
        return self.rank

    def get_world_size(self) -> int:
        return len(self.gathered)

    def all_gather_object(self, answers: list[Any], own: Any) -> None:
        answers[:] = [own if rank == self.rank else other for rank, other in enumerate(self.gathered)]

    def broadcast_object_list(self, content: list[Any], src: int) -> None:
        self.source = src
        if src == self.rank:
            self.sent[:] = content
        else:
            content[:] = self.sent


def test_alone_there_is_nothing_to_agree_on() -> None:
    assert (any_process(True), any_process(False)) == (True, False)
    assert latest_state({"epoch": 3}, []) == ({"epoch": 3}, {})
    assert latest_state(None, []) == (None, {})


def test_a_machine_without_files_takes_the_state_of_the_one_that_has_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    best = tmp_path / "best.pt"
    best.write_bytes(b"weights")
    sent: list[Any] = []
    monkeypatch.setattr(agreement, "dist", _Machines(1, [-1, 5], sent))
    assert latest_state({"epoch": 5}, [best, tmp_path / "missing.json"]) == ({"epoch": 5}, {})
    assert sent == [{"epoch": 5}, {"best.pt": b"weights"}]
    monkeypatch.setattr(agreement, "dist", _Machines(0, [-1, 5], sent))
    assert latest_state(None, []) == ({"epoch": 5}, {"best.pt": b"weights"})
    monkeypatch.setattr(agreement, "dist", _Machines(0, [False, True], sent))
    assert any_process(False)


def test_the_latest_of_several_states_wins_and_equal_ones_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = _Machines(0, [4, 4], [])
    monkeypatch.setattr(agreement, "dist", machines)
    assert latest_state({"epoch": 4}, []) == ({"epoch": 4}, {})
    assert machines.source is None
    monkeypatch.setattr(agreement, "dist", _Machines(0, [3, 4], [{"epoch": 4}, {}]))
    assert latest_state({"epoch": 3}, []) == ({"epoch": 4}, {})
