"""What both patch loaders share: refusals, lengths, distance maps."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.runtime.loading.patch_loader import PatchLoader
from mist_bundle.runtime.loading.select import patch_loader

from .synthetic import array_cache, array_items, random_case


def make(tmp_path: Path, count: int = 3, keys: tuple[str, ...] = ("image", "label"), **options: Any) -> PatchLoader:
    cases = {f"c{number}": random_case(number, (9, 9, 9), dtm="dtm" in keys) for number in range(count)}
    items = array_items(tmp_path / "raw", cases)
    return patch_loader(items, array_cache(tmp_path / "cache", keys), patch_size=(4, 4, 4), loader="torch", **options)


def test_an_empty_list_of_cases_is_refused(tmp_path: Path) -> None:
    loader = make(tmp_path, 0)
    assert len(loader) == 1
    with pytest.raises(ValueError, match="the list of training cases is empty"):
        loader.sampler()


def test_a_cache_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"training needs a cache of 'image' and 'label', but its keys are"):
        patch_loader([], array_cache(tmp_path / "cache", ("image",)), patch_size=(4, 4, 4))


def test_zoom_is_off_with_distance_maps_and_said_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    always = {"zoom_probability": 1.0, "zoom_range": [0.5, 0.5]}
    with_maps = make(tmp_path, keys=("image", "label", "dtm"), augmentation=always)
    assert with_maps.keys == ("image", "label", "dtm")
    assert with_maps.sampler().draw(0, 0).extent == (4, 4, 4)
    assert "zoom, rotation and scaling are off" in caplog.text
    assert make(tmp_path, augmentation=always).sampler().draw(0, 0).extent == (2, 2, 2)


def test_length_counts_the_batches_of_this_process(tmp_path: Path) -> None:
    loader = make(tmp_path, batch_size=8, accumulation_steps=4, world_size=2, rank=1, steps_per_epoch=5)
    assert (len(loader), loader.passes) == (10, 2)
