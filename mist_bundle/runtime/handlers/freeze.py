"""Keep parts of a network as they are for the first epochs of a training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents
from torch import nn

from ..networks.parts import parts_of, unwrap

logger = logging.getLogger(__name__)


class FreezeParts:
    """No gradient reaches the named parts before epoch `epochs` + 1, and their batch statistics stand still too.

    What is frozen follows from the epoch alone, so a resumed training continues like an undisturbed training. Its place
    is before the clipping of gradients: frozen parts then do not count in the norm.

    Args:
        network: what is trained; may be wrapped for several processes.
        parts: names of modules or parameters, for example ["input_block", "downsamples"].
        epochs: the number of epochs, from the first, in which they are frozen; 0 for none.

    Raises:
        ValueError: a part is not in the network.
    """

    def __init__(self, network: nn.Module, parts: Sequence[str], epochs: int) -> None:
        self.network = network
        self.epochs = epochs
        own = unwrap(network)
        self.parameters: list[nn.Parameter] = []
        unknown = set(parts)
        for name, parameter in own.named_parameters():
            own_parts = parts_of(name, parts)
            unknown.difference_update(own_parts)
            if own_parts:
                self.parameters.append(parameter)
        if unknown:
            raise ValueError(f"the network has no {', '.join(sorted(unknown))} to freeze.")
        self.norms: list[nn.Module] = []
        for name, module in own.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and parts_of(name, parts):
                self.norms.append(module)
        self.frozen = False
        for norm in self.norms:
            norm.register_forward_pre_hook(self._hold_statistics)

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._epoch_started)
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self._drop_gradients)

    def _epoch_started(self, engine: Engine) -> None:
        frozen = engine.state.epoch <= self.epochs
        if frozen != self.frozen:
            count = sum(parameter.numel() for parameter in self.parameters)
            action = "Freezing" if frozen else "Training"
            logger.info("%s %d parameters from epoch %d.", action, count, engine.state.epoch)
        self.frozen = frozen
        if unwrap(self.network) is self.network:
            # saves their part of the backward pass; a network spread over processes has to announce its gradients once
            for parameter in self.parameters:
                parameter.requires_grad_(not frozen)

    def _drop_gradients(self) -> None:
        if self.frozen:
            for parameter in self.parameters:
                parameter.grad = None

    def _hold_statistics(self, norm: Any, inputs: Any) -> None:
        del inputs
        if self.frozen and torch.is_grad_enabled():
            norm.training = False
