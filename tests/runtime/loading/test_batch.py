"""What a batch with distance maps becomes on its way to network and loss."""

from __future__ import annotations

import torch

from mist_bundle.runtime.loading.batch import BatchWithMaps


def test_label_and_maps_go_to_the_loss_together() -> None:
    batch = {"image": torch.zeros(2, 1, 3, 3, 3), "label": torch.ones(2, 1, 3, 3, 3), "dtm": torch.ones(2, 4, 3, 3, 3)}
    image, target = BatchWithMaps()({**batch, "id": torch.zeros(2)}, "cpu", non_blocking=True)
    assert image is batch["image"]
    assert target == {"label": batch["label"], "dtm": batch["dtm"]}
