"""Begin a training from weights that came from another bundle."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from ignite.engine import Engine

from ..networks.parts import unwrap
from ..values import truth

logger = logging.getLogger(__name__)


class InitialWeights:
    """Copy a file of weights into networks before training begins, unless a training is resumed.

    Args:
        path: safetensors with every parameter and buffer of the network; a shared tensor stands once.
        networks: what takes them: the network and, if it is used, its moving average; may be wrapped for several
            processes.
        last: state of an earlier training. When it is there and `resume` is set, nothing is copied.
        resume: whether the training continues from `last`.
        new_parts: modules that only training has, which the file need not hold: they keep their initialisation.
    """

    def __init__(
        self,
        path: str,
        networks: Sequence[torch.nn.Module],
        last: str = "",
        resume: bool | str = False,
        new_parts: Sequence[str] = (),
    ) -> None:
        self.path = Path(path)
        self.networks = list(networks)
        self.last = Path(last) if last else None
        self.resume = truth(resume)
        self.new_parts = tuple(new_parts)

    def attach(self, engine: Engine) -> None:
        """Copy now, before the trainer `engine` runs.

        Raises:
            FileNotFoundError: the file is not there.
            ValueError: a tensor is missing or does not fit.
        """
        del engine
        if self.resume and self.last is not None and self.last.is_file():
            return
        weights = self._read()
        for network in self.networks:
            copy_weights(unwrap(network), weights, self.new_parts)
        logger.info("Training begins from the weights in %s.", self.path)

    def _read(self) -> dict[str, torch.Tensor]:
        from safetensors.torch import load_file

        if not self.path.is_file():
            raise FileNotFoundError(
                f"{self.path} is not there. This bundle begins from it; get it again from where the bundle came from."
            )
        return dict(load_file(self.path))


def copy_weights(network: torch.nn.Module, weights: dict[str, torch.Tensor], new_parts: Sequence[str] = ()) -> None:
    """Copy tensors by name into a network; each of its parameters and persistent buffers must be there.

    The modules `new_parts` are left as they are.

    Raises:
        ValueError: naming every tensor that is missing, unknown or of another shape.
    """
    new_prefixes = tuple(f"{part}." for part in new_parts)
    state = network.state_dict()
    # without names of tensors that are shared, as the file has them once
    unshared = dict([*network.named_parameters(), *network.named_buffers()])
    problems = [f"{name} is unknown" for name in weights if name not in state]
    copies = []
    for name, value in unshared.items():
        if name not in state or name.startswith(new_prefixes):
            continue
        if name not in weights:
            problems.append(f"{name} is missing")
        elif weights[name].shape != value.shape:
            problems.append(f"{name} has shape {tuple(weights[name].shape)} instead of {tuple(value.shape)}")
        else:
            copies.append((value, weights[name]))
    if problems:
        raise ValueError(f"the initial weights do not fit the network: {'; '.join(problems)}.")
    with torch.no_grad():
        for value, weight in copies:
            value.copy_(weight)
