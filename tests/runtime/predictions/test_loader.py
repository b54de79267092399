"""Cases one by one: the next is read while one is computed, and no more than that."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from monai.data import Dataset

from mist_bundle.runtime.predictions.loader import FAILURE, ITEM, CaseLoader


class _Counting:
    """A reader that knows how many cases it has read."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.all_read = threading.Event()

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        self.read.append(item["id"])
        if len(self.read) == 2:
            self.all_read.set()
        if item["id"] == "b":
            raise ValueError("is damaged.")
        return {"image": torch.zeros(1, 2, 2, 2), "id": item["id"]}


ITEMS = [{"id": name, "image": [f"{name}.nii.gz"]} for name in "abcd"]


def test_every_case_gives_a_batch_of_one() -> None:
    loader = CaseLoader(Dataset(ITEMS, _Counting()))
    batches = list(loader)
    assert len(loader) == len(batches) == 4
    assert [batch[ITEM] for batch in batches] == ITEMS
    assert [FAILURE in batch for batch in batches] == [False, True, False, False]
    assert batches[0]["image"].shape == (1, 1, 2, 2, 2)
    assert str(batches[1][FAILURE].__cause__ or batches[1][FAILURE]) == "is damaged."


@pytest.mark.parametrize(("ahead", "most"), [(0, 1), (1, 2)])
def test_only_so_many_are_read_ahead(ahead: int, most: int) -> None:
    reader = _Counting()
    batches = iter(CaseLoader(Dataset(ITEMS, reader), ahead=ahead))
    next(batches)
    if ahead:
        assert reader.all_read.wait(timeout=10)
    assert len(reader.read) == most
    batches.close()  # type: ignore[attr-defined]


def test_large_cases_are_read_one_at_a_time() -> None:
    reader = _Counting()
    batches = iter(CaseLoader(Dataset(ITEMS, reader), memory=1e-9))
    for count in range(1, 5):
        next(batches)
        assert not reader.all_read.wait(timeout=0.05) or count > 1
        assert len(reader.read) == count if count != 2 else count + 1  # a case that failed takes no memory
    batches.close()  # type: ignore[attr-defined]


def test_a_shard() -> None:
    loader = CaseLoader(Dataset(ITEMS, _Counting()), sampler=[0, 2])
    assert [batch[ITEM]["id"] for batch in loader] == ["a", "c"]
    assert len(loader) == 2
