"""Patch settings: checks, shares of processes, passes of a step."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mist_bundle.runtime.loading.augmentation import Augmentation
from mist_bundle.runtime.loading.settings import PatchSettings


def make(**options: Any) -> PatchSettings:
    return PatchSettings(patch_size=(4, 4, 4), **options)


def test_settings_out_of_bounds_are_named_all_at_once() -> None:
    with pytest.raises(ValueError, match="patch loader: ") as error:
        PatchSettings.from_config(
            {
                "patch_size": [4, 0, 4],
                "batch_size": 0,
                "steps_per_epoch": 0,
                "seed": -1,
                "rank": 2,
                "world_size": 2,
                "foreground_probability": 1.5,
            }
        )
    for text in (
        "patch_size must be three positive whole numbers, not [4, 0, 4].",
        "batch_size must be at least 1, not 0.",
        "steps_per_epoch must be at least 1, not 0.",
        "seed must be at least 0, not -1.",
        "rank must be from 0 to world_size - 1 = 1, not 2.",
        "foreground_probability must be from 0 to 1, not 1.5.",
    ):
        assert text in str(error.value)
    with pytest.raises(ValueError, match="augmentation: 'flips'"):
        PatchSettings.from_config({"patch_size": [4, 4, 4], "augmentation": {"flips": True}})
    with pytest.raises(ValueError, match=r"'bach_size' is not a setting\. Did you mean 'batch_size'"):
        PatchSettings.from_config({"patch_size": [4, 4, 4], "bach_size": 3})


def test_json_becomes_the_settings_and_defaults_fill_in() -> None:
    read = PatchSettings.from_config({"patch_size": [4, 5, 6], "augmentation": {"flip_axes": [1]}})
    assert read == PatchSettings(patch_size=(4, 5, 6), augmentation=Augmentation(flip_axes=(1,)))
    assert PatchSettings.from_config({"patch_size": [4, 5, 6], "augmentation": None}).augmentation == Augmentation()


@pytest.mark.parametrize(
    ("count", "batch_size", "world_size", "steps"),
    [(3, 2, 1, 2), (8, 2, 2, 4), (9, 4, 2, 3), (1, 4, 2, 1), (0, 2, 1, 1)],
)
def test_an_epoch_shows_every_case_once_by_default(count: int, batch_size: int, world_size: int, steps: int) -> None:
    settings = make(batch_size=batch_size, world_size=world_size)
    assert settings.for_cases(count).steps_per_epoch == steps
    assert make(steps_per_epoch=7).for_cases(count).steps_per_epoch == 7


# --- sharing out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch_size", "accumulation_steps", "world_size", "passes", "patches_per_pass"),
    [
        (2, 1, 1, 1, 2),
        (2, 1, 2, 1, 1),
        (32, 8, 1, 8, 4),  # the BraTS 2024 protocol: four at a time on one GPU …
        (32, 8, 2, 4, 4),
        (32, 8, 8, 1, 4),  # … and four on each of eight
        (32, 8, 32, 1, 1),
        (7, 2, 1, 7, 1),  # no two equal parts: single patches
        (12, 5, 2, 2, 3),
        (6, 3, 3, 1, 2),
        (2, 8, 1, 2, 1),  # never less than a patch
    ],
)
def test_a_process_computes_its_share_in_passes_that_are_no_larger_than_those_of_one_alone(
    batch_size: int, accumulation_steps: int, world_size: int, passes: int, patches_per_pass: int
) -> None:
    settings = make(batch_size=batch_size, accumulation_steps=accumulation_steps, world_size=world_size)
    assert (settings.passes, settings.patches_per_pass) == (passes, patches_per_pass)


def test_a_batch_for_each_process_grows_with_their_number() -> None:
    settings = make(batch_size_per_process=3, world_size=4, accumulation_steps=3, steps_per_epoch=5)
    assert (settings.batch_size, settings.share, settings.passes, settings.patches_per_epoch) == (12, 3, 3, 60)
    assert settings.for_cases(10) == settings, "replacing a setting changes no other"
    assert make(batch_size=7, batch_size_per_process=1, world_size=3).batch_size == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"batch_size": 4, "world_size": 3},
            "3 processes cannot share a batch of 4 patches evenly. Use 1, 2, 4 processes, or a batch_size of 6, or "
            "batch_size_per_process.",
        ),
        ({"batch_size": 2, "world_size": 8}, "Use 1, 2 processes, or a batch_size of 8"),
    ],
)
def test_what_cannot_be_shared_evenly_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**options)


@given(
    shares=st.integers(1, 6),
    world_size=st.integers(1, 6),
    accumulation_steps=st.integers(1, 8),
    steps=st.integers(1, 4),
)
def test_all_processes_together_see_the_patches_of_one(
    shares: int, world_size: int, accumulation_steps: int, steps: int
) -> None:
    """Each step's patches are those of a single process, each seen once, whatever the number of processes."""
    batch_size = shares * world_size
    common = {
        "batch_size": batch_size,
        "accumulation_steps": min(accumulation_steps, batch_size),
        "steps_per_epoch": steps,
    }
    alone = make(**common)
    together = [make(**common, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step in range(steps):
        expected = range(step * batch_size, (step + 1) * batch_size)
        for settings in (alone, *together):
            assert settings.patches_per_epoch == steps * batch_size
            assert settings.passes_per_epoch == steps * settings.passes
        assert _positions([alone], step) == list(expected)
        assert _positions(together, step) == list(expected)


def _positions(processes: list[PatchSettings], step: int) -> list[int]:
    """The patches of a step over all processes, in the order of ranks."""
    seen: list[int] = []
    for settings in processes:
        for number in range(step * settings.passes, (step + 1) * settings.passes):
            seen += settings.positions(number)
    return seen
