"""Build a bundle's network or loss and run it once, in a process that trial.py starts.

The process ends with an exception if a training cannot use the network or the loss.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn

from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import MistBundleError
from mist_bundle.planning.plan import Plan

LOSS_SHAPE = (16, 16, 16)
# wrappers of a loss, which would turn any result into a number
WRAPPERS = ("scripts.losses.deep_supervision.DeepSupervisionLoss", "scripts.losses.regularized.RegularizedLoss")


class TrialError(MistBundleError):
    """The part runs, but returns something that a training cannot use."""


def parser_of(bundle: Path, config: Path) -> ConfigParser:
    """Read a configuration and make the bundle's own scripts importable."""
    sys.path.insert(0, str(bundle))  # its scripts come first, whatever is in the working directory
    parser = ConfigParser()
    parser.read_config(str(config))
    parser["bundle_root"] = str(bundle)
    return parser


def build(parser: ConfigParser, identity: str) -> Any:
    """Build the component of an id.

    Raises:
        TrialError: its constructor failed; MONAI's error names the component, and its cause the reason.
    """
    try:
        return parser.get_parsed_content(identity)
    except RuntimeError as error:
        cause = error.__cause__
        if cause is None:
            raise
        raise TrialError(f"{type(cause).__name__}: {cause}") from error


def try_network(parser: ConfigParser, plan: Plan, outputs: int) -> None:
    """Run a forward pass in training mode and another in evaluation mode, with the patch of the plan.

    It runs on the meta device, which computes shapes alone. If that fails, because the network does something without
    meaning there or because it is wrong, it runs on the CPU, whose errors are reported.
    """
    patch, batch, channels = plan.patch_size.value, plan.patches_per_pass, plan.num_channels
    try:
        with torch.device("meta"):
            network = build(parser, "network_def")
            check_outputs(network, torch.zeros(batch, channels, *patch), outputs)
    except (RuntimeError, TrialError):  # NotImplementedError is such
        fresh = ConfigParser(parser.config)  # it keeps no component that was built on the meta device
        check_outputs(build(fresh, "network_def"), torch.randn(batch, channels, *patch), outputs)


def check_outputs(network: Any, image: Tensor, outputs: int) -> None:
    """Raise TrialError if the outputs of a network do not have the shapes that docs/networks.md requires."""
    if not isinstance(network, nn.Module):
        raise TrialError(f"it is a {type(network).__name__}, not a torch.nn.Module.")
    expected = (image.shape[0], outputs, *image.shape[2:])
    for training in (True, False):
        with torch.no_grad():
            output = network.train(training)(image)
        mode = "training" if training else "evaluation"
        heads = list(output) if training and isinstance(output, (list, tuple)) else [output]
        if not heads or not all(isinstance(head, Tensor) for head in heads):
            raise TrialError(f"in {mode} it returns a {type(output).__name__}; expected a single tensor of logits.")
        if tuple(heads[0].shape) != expected:
            message = f"in {mode} it returns the shape {tuple(heads[0].shape)} for images of {tuple(image.shape)}"
            raise TrialError(f"{message}; expected {expected}.")


def try_loss(parser: ConfigParser, plan: Plan, outputs: int) -> None:
    """Compute the loss of a random guess, and its gradient."""
    place, wrapped = "loss", parser.get("loss")
    while wrapped["_target_"] in WRAPPERS:
        place, wrapped = f"{place}#loss", wrapped["loss"]
    loss = build(parser, place)
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, outputs, *LOSS_SHAPE, generator=random).requires_grad_()
    label = torch.randint(0, plan.num_classes, (2, 1, *LOSS_SHAPE), generator=random).to(torch.uint8)
    target: Any = label
    if plan.distance_maps.value:
        target = {"label": label, "dtm": torch.randn(2, outputs, *LOSS_SHAPE, generator=random)}
    value = loss(logits, target)
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise TrialError(f"it returns {value!r:.80}; expected a single number.")
    if not bool(torch.isfinite(value)):
        raise TrialError(f"it returns {value.detach().item()} for a random guess; expected a finite number.")
    if value.grad_fn is None:
        raise TrialError("it returns a number without a gradient, from which nothing can be learned.")
    value.backward()  # type: ignore[no-untyped-call]
    if logits.grad is None or not bool(torch.isfinite(logits.grad).all()):
        raise TrialError("its gradient with respect to the logits is not a finite number everywhere.")


def main(request: dict[str, str]) -> None:
    """Try the part of a request; ends with an exception if it fails."""
    bundle = Path(request["bundle"])
    plan = Bundle(bundle).plan
    attempt = {"network": try_network, "loss": try_loss}[request["part"]]
    attempt(parser_of(bundle, Path(request["config"])), plan, len(plan.output_names))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
