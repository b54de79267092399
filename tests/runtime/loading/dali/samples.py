"""Loaders over small random cases, for the tests of DALI's loader and of its graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mist_bundle.runtime.loading.select import patch_loader

from ..synthetic import Item, array_cache
from ..test_torch_loader import Batch

INTENSITIES = ("noise", "blur", "brightness", "contrast")
ALWAYS: dict[str, Any] = {f"{name}_probability": 1.0 for name in ("zoom", "flip", *INTENSITIES)}
NEVER: dict[str, Any] = {f"{name}_probability": 0.0 for name in ("zoom", "flip", *INTENSITIES)}


def make(folder: Path, items: list[Item], kind: str = "dali", **options: Any) -> Any:
    keys = options.pop("keys", ("image", "label"))
    settings = {"patch_size": (12, 10, 11), "batch_size": 2, "steps_per_epoch": 4, "seed": 3, "num_threads": 2}
    settings |= {"num_threads": 0} if kind == "torch" else {}
    return patch_loader(items, array_cache(folder / "cache", keys), loader=kind, **settings | options)


def assert_close(one: Sequence[Batch], two: Sequence[Batch]) -> None:
    assert len(one) == len(two) > 0
    for first, second in zip(one, two, strict=True):
        torch.testing.assert_close(first["label"], second["label"], rtol=0, atol=0)
        torch.testing.assert_close(first["image"], second["image"], rtol=1e-4, atol=2e-5)
