from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.runtime.loading.source import EpochCounter, PatchSource

from .synthetic import array_cache, array_items, random_case


def source(tmp_path: Path, count: int = 3, keys: tuple[str, ...] = ("image", "label"), **options: Any) -> PatchSource:
    cases = {f"c{number}": random_case(number, (9, 9, 9), dtm="dtm" in keys) for number in range(count)}
    settings: dict[str, Any] = {
        "patch_size": (4, 4, 4),
        "batch_size": 2,
        "steps_per_epoch": None,
        "seed": 0,
        "rank": 0,
        "world_size": 1,
        "augmentation": None,
        "foreground_probability": 0.6,
    }
    return PatchSource(
        array_items(tmp_path / "raw", cases), array_cache(tmp_path / "cache", keys), **settings | options
    )


def test_settings_out_of_bounds_are_named_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="patch loader: ") as error:
        source(
            tmp_path,
            keys=("image",),
            patch_size=(4, 0, 4),
            batch_size=0,
            steps_per_epoch=0,
            seed=-1,
            rank=2,
            world_size=2,
            foreground_probability=1.5,
        )
    for text in (
        "patch_size must be three positive whole numbers, not [4, 0, 4].",
        "batch_size must be at least 1, not 0.",
        "steps_per_epoch must be at least 1, not 0.",
        "seed must be at least 0, not -1.",
        "rank must lie from 0 to world_size - 1 = 1, not 2.",
        "foreground_probability must lie from 0 to 1, not 1.5.",
        "the cache must hold 'image' and 'label'",
    ):
        assert text in str(error.value)
    with pytest.raises(ValueError, match="augmentation: 'flips'"):
        source(tmp_path, augmentation={"flips": True})


@pytest.mark.parametrize(
    ("count", "batch_size", "world_size", "steps"),
    [(3, 2, 1, 2), (8, 2, 2, 2), (9, 2, 2, 3), (1, 4, 2, 1), (0, 2, 1, 1)],
)
def test_an_epoch_shows_every_case_once_unless_told_otherwise(
    tmp_path: Path, count: int, batch_size: int, world_size: int, steps: int
) -> None:
    assert source(tmp_path, count, batch_size=batch_size, world_size=world_size).steps_per_epoch == steps
    assert source(tmp_path, count, steps_per_epoch=7).steps_per_epoch == 7


def test_an_empty_list_of_cases_is_refused_when_patches_are_wanted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the list of training cases is empty"):
        source(tmp_path, 0).sampler()


def test_zoom_is_off_with_distance_maps_and_said_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    always = {"zoom_probability": 1.0, "zoom_range": [0.5, 0.5]}
    with_maps = source(tmp_path, keys=("image", "label", "dtm"), augmentation=always)
    assert with_maps.keys == ("image", "label", "dtm")
    assert with_maps.sampler().draw(0, 0).extent == (4, 4, 4)
    assert "zoom, rotation and scaling are off" in caplog.text
    assert source(tmp_path, augmentation=always).sampler().draw(0, 0).extent == (2, 2, 2)


# --- epochs -----------------------------------------------------------------------------------------------------------


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
