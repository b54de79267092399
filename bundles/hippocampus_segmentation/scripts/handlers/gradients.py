"""Between backward pass and optimizer step: L1 penalty, clipping, and a stop when the loss is not a number."""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Engine
from monai.engines.utils import IterationEvents

from .steps import steps_optimizer


class GradientRules:
    """Add the gradient of an L1 penalty, then scale all gradients down to a total norm, once an optimizer step.

    The penalty is `l1_penalty * sum(abs(weight))` over everything that is trained, as `weight_decay` covers everything
    too. It acts on the gradient alone: the reported loss stays comparable between runs. It comes before the clipping,
    as if it stood in the loss. Where a gradient scaler is in use (half precision), its factor is taken out first.

    Args:
        max_norm: the largest total norm of the gradients; 0 for no clipping.
        l1_penalty: factor of the penalty; 0 for none.
    """

    def __init__(self, max_norm: float = 0.0, l1_penalty: float = 0.0) -> None:
        for name, value in (("max_norm", max_norm), ("l1_penalty", l1_penalty)):
            if value < 0:
                raise ValueError(f"{name} is {value}; expected 0 (off) or more.")
        self.max_norm = max_norm
        self.l1_penalty = l1_penalty

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        if self.max_norm > 0 or self.l1_penalty > 0:
            engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Change the gradients if the optimizer steps in this iteration."""
        if not steps_optimizer(engine):
            return
        scaler = getattr(engine, "scaler", None)
        if scaler is not None:
            scaler.unscale_(engine.optimizer)  # type: ignore[attr-defined]
        parameters = [
            parameter
            for parameter in engine.network.parameters()  # type: ignore[attr-defined]
            if parameter.grad is not None
        ]
        if self.l1_penalty > 0:
            with torch.no_grad():
                for parameter in parameters:
                    parameter.grad.add_(parameter.sign(), alpha=self.l1_penalty)
        if self.max_norm > 0:
            torch.nn.utils.clip_grad_norm_(parameters, self.max_norm)


class FiniteLossGuard:
    """Stop training with an error on the first loss that is infinite or not a number, before any weight is touched."""

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Raise FloatingPointError naming epoch, step and cases."""
        output: Any = engine.state.output
        loss = output["loss"].detach()
        if bool(torch.isfinite(loss).all()):
            return
        cases = engine.state.batch.get("id", "unknown")  # type: ignore[union-attr]
        raise FloatingPointError(
            f"the loss is {float(loss)} in epoch {engine.state.epoch}, step {engine.state.iteration}, cases {cases}. "
            "Nothing was learned from this step; the last checkpoint is intact. Try a lower --learning_rate, or check "
            "these cases."
        )
