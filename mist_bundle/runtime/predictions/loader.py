"""The cases of an inference, each in a batch of its own: the next case is read while a case is computed.

A case that cannot be read is handed on as its failure, and a case that is predicted already as its label map, so that
the number of batches is known beforehand and no case ends the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

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
    """

    def __init__(
        self,
        dataset: Dataset,
        predictions: Predictions | None = None,
        sampler: Sequence[int] | Sized | None = None,
        ahead: int = 1,
    ) -> None:
        if ahead < 0:
            raise ValueError(f"ahead is {ahead}; expected 0 or more cases.")
        self.dataset = dataset
        self.predictions = predictions
        self.sampler = sampler
        self.ahead = ahead

    def __len__(self) -> int:
        return len(self.dataset) if self.sampler is None else len(self.sampler)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield {"item": entry of the datalist} with the collated case, FAILURE or PREDICTED."""
        indices: Any = range(len(self.dataset)) if self.sampler is None else self.sampler
        waiting: deque[Future[dict[str, Any]]] = deque()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-case") as reader:
            for index in indices:
                waiting.append(reader.submit(self._load, int(index)))
                if len(waiting) > self.ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

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
