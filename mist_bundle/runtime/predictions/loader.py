"""The cases of an inference, each in a batch of its own: the next case is read while a case is computed.

A case that cannot be read is handed on as its failure, and a case that is predicted already as its label map, so that
the number of batches is known beforehand and no case ends the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from monai.data import Dataset
from monai.data.utils import list_data_collate

from .records import FRESH, Predictions

FAILURE = "failure"  # key of the exception in the batch of a case that could not be read
PREDICTED = "predicted"  # key of a case that needs no prediction
REPLACED = "replaced"  # key of the sentence why an existing label map is replaced; "" where none exists
ITEM = "item"  # key of the entry of the datalist that a batch was read from


class CaseLoader:
    """Iterate over the cases of a dataset.

    Args:
        dataset: MONAI's, of items {"id", "image": files …}.
        predictions: which cases are predicted already; None reads all.
        sampler: indices of the cases to take, such as a shard; None takes all.
        ahead: cases that are read in advance.
        memory: gigabytes that a prepared image may take for the next case to be read beside it.
    """

    def __init__(
        self,
        dataset: Dataset,
        predictions: Predictions | None = None,
        sampler: Sequence[int] | Sized | None = None,
        ahead: int = 1,
        memory: float = 1.0,
    ) -> None:
        if ahead < 0:
            raise ValueError(f"ahead is {ahead}; expected 0 or more cases.")
        self.dataset = dataset
        self.predictions = predictions
        self.sampler = sampler
        self.ahead = ahead
        self.memory_bytes = float(memory) * 1e9

    def __len__(self) -> int:
        return len(self.dataset) if self.sampler is None else len(self.sampler)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield {"item": entry of the datalist} with the collated case, FAILURE or PREDICTED."""
        indices: Any = range(len(self.dataset)) if self.sampler is None else self.sampler
        to_come = deque(indices)
        waiting: deque[Future[dict[str, Any]]] = deque()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-case") as reader:

            def read(count: int) -> None:
                while to_come and len(waiting) < count:
                    waiting.append(reader.submit(self._load, int(to_come.popleft())))

            while to_come or waiting:
                read(1)
                batch = self._result(waiting.popleft())
                if _num_bytes(batch) <= self.memory_bytes:  # cases of a folder are much alike in size
                    read(self.ahead)
                yield batch
                del batch  # before the next case is read

    def _result(self, future: Future[dict[str, Any]]) -> dict[str, Any]:
        try:
            return future.result()
        except BaseException:  # an interrupt, since cases do not fail here: files are complete or not there
            if self.predictions is not None:
                self.predictions.writer.stop()
            raise

    def _load(self, index: int) -> dict[str, Any]:
        item: Mapping[str, Any] = self.dataset.data[index]
        replaced = ""
        try:
            if self.predictions is not None:
                status = self.predictions.status_of(item)
                if status.state == FRESH:
                    return {ITEM: item, PREDICTED: True}
                replaced = status.why
            batch: dict[str, Any] = list_data_collate([self.dataset[index]])
        except Exception as error:  # noqa: BLE001 - whatever a file does to its reader is this case's failure
            return {ITEM: item, FAILURE: error}
        return {**batch, ITEM: item, REPLACED: replaced}


def _num_bytes(batch: Mapping[str, Any]) -> int:
    total = 0
    for value in batch.values():
        if isinstance(value, torch.Tensor):
            total += value.numel() * value.element_size()
    return total
