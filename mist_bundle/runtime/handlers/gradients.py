"""Around the backward pass: L1 penalty, clipping, exchange between processes, and a stop when the loss is NaN."""

from __future__ import annotations

import math
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents

from .steps import steps_optimizer


class GradientRules:
    """Add the gradient of an L1 penalty, then scale all gradients down to a total norm, once per optimizer step.

    The penalty is `l1_penalty * sum(abs(weight))` over everything that is trained, as `weight_decay` covers everything
    too. It acts on the gradient alone: the reported loss stays comparable between runs. It comes before the clipping,
    as if it stood in the loss. Where a gradient scaler is in use (half precision), its factor is taken out first.

    Where several processes train together and accumulate gradients, they exchange them once a step, not in each pass.

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
        engine.add_event_handler(Events.ITERATION_STARTED, exchange_once_a_step)
        if self.max_norm > 0 or self.l1_penalty > 0:
            engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Change the gradients if the optimizer steps in this iteration."""
        if not steps_optimizer(engine):
            return
        scaler = getattr(engine, "scaler", None)
        if scaler is not None:
            scaler.unscale_(engine.optimizer)  # type: ignore[attr-defined]
        network: torch.nn.Module = engine.network  # type: ignore[attr-defined]
        parameters = [parameter for parameter in network.parameters() if parameter.grad is not None]
        if self.l1_penalty > 0:
            with torch.no_grad():
                for parameter in parameters:
                    parameter.grad.add_(parameter.sign(), alpha=self.l1_penalty)  # type: ignore[union-attr]
        if self.max_norm > 0:
            torch.nn.utils.clip_grad_norm_(parameters, self.max_norm)


def exchange_once_a_step(engine: Engine) -> None:
    """Let DistributedDataParallel exchange gradients only where the optimizer steps (what its `no_sync` does)."""
    network: Any = engine.network  # type: ignore[attr-defined]
    network = getattr(network, "_orig_mod", network)  # of torch.compile
    if isinstance(network, torch.nn.parallel.DistributedDataParallel):
        network.require_backward_grad_sync = steps_optimizer(engine)


class FiniteLossGuard:
    """Stop training with an error on a loss that is infinite or not a number, and name the cases it came from.

    On a CPU the loss is looked at before any weight changes. On a GPU that would make the processor wait for the device
    in each step, so the value is copied in the background and looked at an iteration later; at the end of an epoch at
    once, before anything is saved. Checkpoints never hold what was learned from such a loss.

    Args:
        loader: the training loader, which knows the cases of a batch; None leaves them unnamed.
    """

    def __init__(self, loader: Any = None) -> None:
        self.loader = loader
        self._pending: _PendingLoss | None = None

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.check)

    def __call__(self, engine: Engine) -> None:
        """Check the loss of the last iteration and remember the current loss; on a CPU, check it too."""
        self.check()
        output: Any = engine.state.output
        loss = output["loss"].detach()
        place = getattr(self.loader, "place", None)
        self._pending = _PendingLoss(loss, engine.state.epoch, engine.state.iteration, place)
        if loss.device.type == "cpu":
            self.check()

    def check(self) -> None:
        """Raise FloatingPointError naming epoch, iteration and cases, if the remembered loss is not a finite number."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        value = pending.value()
        if math.isfinite(value):
            return
        cases = "" if pending.place is None else f", cases {', '.join(self.loader.case_names(*pending.place))}"
        raise FloatingPointError(
            f"the loss is {value} in epoch {pending.epoch}, iteration {pending.iteration}{cases}. The last checkpoint "
            "is intact. Try a lower --learning_rate, or check these cases."
        )


class _PendingLoss:
    """A loss on its way from the device, and which iteration it belongs to."""

    def __init__(self, loss: torch.Tensor, epoch: int, iteration: int, place: tuple[int, int] | None) -> None:
        self.epoch = epoch
        self.iteration = iteration
        self.place = place
        self._copy = loss.to("cpu", non_blocking=True)
        self._copied: torch.cuda.Event | None = None
        if loss.device.type == "cuda":
            self._copied = torch.cuda.Event()
            self._copied.record(torch.cuda.current_stream(loss.device))

    def value(self) -> float:
        if self._copied is not None:
            self._copied.synchronize()
        return float(self._copy)
