"""From a batch of the training loader to what MONAI's SupervisedTrainer hands to network and loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


class BatchWithMaps:
    """Image for the network; label and distance maps together for the loss.

    MONAI's default takes image and label only. Use it as `prepare_batch` of a SupervisedTrainer.
    """

    def __call__(
        self,
        batchdata: Mapping[str, torch.Tensor],
        device: torch.device | str | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """(image, {"label": class indices, "dtm": distance maps}), all on `device`."""
        placement = {"device": device, "non_blocking": non_blocking, **kwargs}
        image = batchdata["image"].to(**placement)
        label = batchdata["label"].to(**placement)
        maps = batchdata["dtm"].to(**placement)
        return image, {"label": label, "dtm": maps}
