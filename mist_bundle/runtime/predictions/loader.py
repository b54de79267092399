"""The cases of an inference, each in a batch of its own: the next is read while one is computed.

A case that cannot be read is handed on as its failure, and one that is predicted already as its label map, so that the
number of batches is known beforehand and no case ends the others.
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
REPLACED = "replaced"  # key of the sentence why a label map that is there is made anew; "" where none is
ITEM = "item"  # key of the entry of the datalist that a batch was read from


class CaseLoader:
    """Iterate over the cases of a dataset.

    Args:
        dataset: MONAI's, of items {"id", "image": files …}.
        predictions: which cases are predicted already; None reads all.
        sampler: indices of the cases to take, such as a shard; None takes all.
        ahead: cases that are read before they are asked for.
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
        """Give {"item": entry of the datalist} with the collated case, FAILURE or PREDICTED."""
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
                found = self.predictions.look(item)
                if found.state == FRESH:
                    return {ITEM: item, PREDICTED: True}
                replaced = found.why
            batch: dict[str, Any] = list_data_collate([self.dataset[index]])
        except Exception as error:  # noqa: BLE001 - whatever a file does to its reader is this case's failure
            return {ITEM: item, FAILURE: error}
        return {**batch, ITEM: item, REPLACED: replaced}
