"""Compute the windows of a prediction by OpenVINO instead of torch, on a CPU: the same weights, in about half the time.

The network is converted when it first sees a window, and the converted network must agree with torch on that window.
Everything around the network stays as it is: flips, folds, blending, precision.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from ..settings import ENGINES

logger = logging.getLogger(__name__)

# largest difference on the first window, as a share of the largest logit: rounding stays far below
TOLERANCE = {"f32": 0.01, "bf16": 0.1}
Member = Callable[[torch.Tensor], torch.Tensor]


class Engine:
    """What runs the network.

    Args:
        name: "torch"; "openvino"; or "auto", which is OpenVINO where it is installed, the network runs on the CPU and
            can be converted, and torch elsewhere (the log says which, and why).

    Raises:
        ValueError: the name is another.
        ModuleNotFoundError: OpenVINO is required and not installed.
    """

    def __init__(self, name: str = "torch") -> None:
        if name not in ENGINES:
            raise ValueError(f"engine is {name!r}; expected {', '.join(ENGINES)}.")
        installed = find_spec("openvino") is not None
        if name == "openvino" and not installed:
            raise ModuleNotFoundError("--engine openvino needs the package openvino: pip install openvino.")
        self.name = name if name != "auto" or installed else "torch"
        if name == "auto" and not installed:
            logger.info("Engine: torch, since openvino is not installed.")
        self._members: dict[tuple[Any, ...], Member] = {}

    def member(self, network: Any, patches: torch.Tensor, weights: str = "") -> Member:
        """A function that does what the network does with its weights of now.

        Args:
            network: a torch module.
            patches: (B, channels, X, Y, Z) as they will be given to it: what is converted serves this size alone.
            weights: name of the weights that it holds.
        """
        if self.name == "torch":
            return network  # type: ignore[no-any-return]
        key = self._key(network, patches, weights)
        if key not in self._members:
            self._members[key] = self._convert(network, patches[:1])
        return self._members[key]

    def knows(self, network: Any, patches: torch.Tensor, weights: str) -> bool:
        """Whether these weights are converted already, so that the network need not hold them."""
        return self.name != "torch" and self._key(network, patches, weights) in self._members

    def _key(self, network: Any, patches: torch.Tensor, weights: str) -> tuple[Any, ...]:
        place = (id(network), tuple(patches.shape[1:]), _precision())
        if weights:
            return (*place, weights)
        # without a name the state of the parameters tells whether they were loaded again meanwhile
        return (*place, sum(parameter._version for parameter in network.parameters()))

    def _convert(self, network: Any, patch: torch.Tensor) -> Member:
        problem = ""
        if patch.device.type == "cpu":
            try:
                converted = OpenVinoNetwork(network, patch)
            except Exception as error:  # noqa: BLE001 - a converter raises whatever its parts raise
                problem = f"OpenVINO cannot run this network ({str(error).strip().splitlines()[0][:200]})"
            else:
                problem = converted.difference_from(network, patch)
                if not problem:
                    logger.info("Engine: OpenVINO, %s.", _precision())
                    return converted
        else:
            problem = f"OpenVINO computes on the CPU, and the network is on {patch.device}"
        if self.name == "openvino":
            raise ValueError(f"{problem}; use --engine torch.")
        logger.warning("%s: torch is used instead.", problem)
        self.name = "torch"
        return network  # type: ignore[no-any-return]


class OpenVinoNetwork:
    """A network converted for single windows of a size, on as many threads as torch uses.

    Args:
        network: a torch module on the CPU, in evaluation mode.
        patch: a window (1, channels, X, Y, Z).
    """

    def __init__(self, network: Any, patch: torch.Tensor) -> None:
        import openvino

        plain = getattr(network, "_orig_mod", network)  # without torch.compile's wrapper
        # another window than the one that is compared: what a converter froze by mistake shows up there
        example = torch.randn(patch.shape, generator=torch.Generator().manual_seed(0))
        with torch.autocast("cpu", enabled=False), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes become constants: that is intended, the window has one size
            model = openvino.convert_model(plain, example_input=example, input=[list(patch.shape)])
        settings = {
            "INFERENCE_PRECISION_HINT": _precision(),
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
        }
        self._request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()

    def __call__(self, patches: torch.Tensor) -> torch.Tensor:
        """Logits (B, C, X, Y, Z) of windows (B, channels, X, Y, Z)."""
        scores = []
        for patch in patches:
            array = np.ascontiguousarray(patch[None].numpy(), np.float32)
            self._request.infer([array])
            scores.append(torch.from_numpy(self._request.get_output_tensor(0).data.astype(np.float32, copy=True)))
        return torch.cat(scores)

    def difference_from(self, network: Any, patch: torch.Tensor) -> str:
        """What is wrong with the converted network, by torch in float32; empty where it agrees."""
        with torch.autocast("cpu", enabled=False), torch.no_grad():
            expected = network(patch)
        actual = self(patch)
        if actual.shape != expected.shape:
            return f"OpenVINO gives the shape {tuple(actual.shape)} and torch {tuple(expected.shape)}"
        difference = float((actual - expected).abs().max())
        allowed = TOLERANCE[_precision()] * max(float(expected.abs().max()), 1e-3)
        if not difference <= allowed:
            return f"OpenVINO's logits differ from torch's by {difference:.2g}, more than {allowed:.2g}"
        return ""


def _precision() -> str:
    """What the surrounding autocast computes in, as OpenVINO calls it."""
    if torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.bfloat16:
        return "bf16"
    return "f32"
