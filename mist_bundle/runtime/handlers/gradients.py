"""Guards between backward pass and optimizer step: clip the gradients; stop at once when the loss is not a number."""

from __future__ import annotations

import torch
from ignite.engine import Engine
from monai.engines.utils import IterationEvents


class GradientClipper:
    """Scale the gradients down to a total norm of at most `max_norm`, after un-scaling where a scaler is in use."""

    def __init__(self, max_norm: float) -> None:
        if max_norm <= 0:
            raise ValueError(f"max_norm is {max_norm}; expected more than 0.")
        self.max_norm = max_norm

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Clip."""
        scaler = getattr(engine, "scaler", None)
        if scaler is not None:
            scaler.unscale_(engine.optimizer)  # type: ignore[attr-defined]
        torch.nn.utils.clip_grad_norm_(engine.network.parameters(), self.max_norm)  # type: ignore[attr-defined]


class FiniteLossGuard:
    """Stop training with an error on the first loss that is infinite or not a number, before any weight is touched."""

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Raise FloatingPointError naming epoch, step and cases."""
        loss = engine.state.output["loss"]  # type: ignore[index]
        if bool(torch.isfinite(loss).all()):
            return
        cases = engine.state.batch.get("id", "unknown")  # type: ignore[union-attr]
        raise FloatingPointError(
            f"the loss is {float(loss)} in epoch {engine.state.epoch}, step {engine.state.iteration}, cases {cases}. "
            "Nothing was learned from this step; the last checkpoint is intact. Try a lower --learning_rate, or check "
            "these cases."
        )
