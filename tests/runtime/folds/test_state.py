"""What a training leaves in its folder, how it makes room for another, and which settings may differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.runtime.folds.state import (
    best_name,
    differences,
    differences_text,
    discard,
    has_state,
    is_complete,
    move_aside,
    plain,
    read_status,
    state_files,
)


def train(folder: Path, mark: str) -> None:
    """Leave all files of a training, and a file of somebody else."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("last.pt", "previous.pt", "status.json", "history.jsonl", best_name(3), "notes.txt"):
        (folder / name).write_text(mark)


def test_what_a_training_goes_on_from_comes_first(tmp_path: Path) -> None:
    train(tmp_path, "x")
    files = [path.name for path in state_files(tmp_path)]
    assert files == ["previous.pt", "last.pt", "status.json", "best_3.pt", "history.jsonl"]
    assert state_files(tmp_path / "none") == []


@pytest.mark.parametrize(("name", "expected"), [("last.pt", True), ("previous.pt", True), ("status.json", False)])
def test_a_state_begins_with_the_first_epoch(tmp_path: Path, name: str, expected: bool) -> None:
    assert not has_state(tmp_path)
    (tmp_path / name).touch()
    assert has_state(tmp_path) == expected


def test_a_new_training_keeps_the_former_and_no_older(tmp_path: Path) -> None:
    train(tmp_path, "first")
    move_aside(tmp_path)
    train(tmp_path, "second")
    earlier = move_aside(tmp_path)
    assert {path.read_text() for path in state_files(earlier)} == {"second"}
    assert state_files(tmp_path) == []
    assert (tmp_path / "notes.txt").is_file()


def test_discarding_leaves_what_is_not_of_a_training(tmp_path: Path) -> None:
    train(tmp_path, "first")
    move_aside(tmp_path)
    train(tmp_path, "second")
    discard(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"epoch": 1', None])
def test_a_status_that_cannot_be_read_is_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "status.json").write_text(content)
    assert read_status(tmp_path) is None


def test_a_status_is_read(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(json.dumps({"epoch": 3}))
    assert read_status(tmp_path) == {"epoch": 3}


@pytest.mark.parametrize(
    ("status", "now", "complete"),
    [
        ({"epoch": 5}, {}, True),
        ({"epoch": 4}, {}, False),
        ({"epoch": 5}, {"epochs": 8}, False),
        ({"epoch": 4, "stopped_early": True}, {}, True),
        ({"epoch": 4, "early_stopping": 3, "validations_since_best": 3}, {}, True),
        ({"epoch": 4, "early_stopping": 3, "validations_since_best": 3}, {"early_stopping": 4}, False),
        ({"epoch": 4, "early_stopping": 3, "validations_since_best": 3}, {"early_stopping": 0}, False),
    ],
)
def test_a_training_is_complete_when_nothing_is_left(
    status: dict[str, Any], now: dict[str, int], complete: bool
) -> None:
    assert is_complete({"epochs": 5, **status}, **now) == complete


def test_settings_are_compared_by_name() -> None:
    started = {"learning_rate": 0.1, "epochs": 5, "warmup_steps": 10, "seed": 0}
    now = {"learning_rate": 0.2, "epochs": 8, "warmup_steps": 16, "new": 1}
    assert list(differences(started, now, extended=True)) == [("learning_rate", 0.1, 0.2)]
    changed = list(differences(started, now))
    assert differences_text(changed) == "learning_rate was 0.1 and is 0.2 now, warmup_steps was 10 and is 16 now"


def test_values_inside_of_components_are_compared_too() -> None:
    started = {"components": {"loss#smooth": "1", "loss#gone": "2"}}
    now = {"components": {"loss#smooth": "3", "loss#new": "4"}}
    assert [name for name, _, _ in differences(started, now)] == ["loss#gone", "loss#new", "loss#smooth"]
    assert list(differences({}, now)) == []


def test_settings_are_plain_json() -> None:
    settings = {"path": Path("a/b"), "sizes": (1, 2.5, None), 3: {"on": True}}
    assert plain(settings) == {"path": str(Path("a/b")), "sizes": [1, 2.5, None], "3": {"on": True}}
    assert json.loads(json.dumps(plain(settings))) == plain(settings)
