"""Export a bundle to a single format; run as a process of its own by export.py.

It takes a JSON request as its only argument, writes the file and a result, and ends with an exception where the
network cannot be converted: the caller tells it to the user.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn

from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import InputError, MistBundleError
from mist_bundle.files import MODEL_PT, write_json
from mist_bundle.runtime.folds.files import sha256_of_bytes
from mist_bundle.sharing.stock_config import stock_inference, strategy_of

SEEDS = (0, 1)
MAX_BATCH = 64  # sliding windows are batched by at most this many patches
OPSET = 18
Run = Callable[[Tensor], Tensor]


class ExportError(MistBundleError):
    """The network has something that this format cannot express."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted:
    """A written file: the method, which batches it takes, and a function that runs what was read back from it."""

    method: str
    any_batch: bool
    run: Run


def load_network(bundle: Path, config: Path) -> nn.Module:
    """The network of inference.json with the weights of models/model.pt, in evaluation mode, on the CPU."""
    sys.path.insert(0, str(bundle))  # its scripts come first, whatever is in the working directory
    parser = ConfigParser()
    parser.read_config(str(config))
    parser["bundle_root"] = str(bundle)
    network = parser.get_parsed_content("network_def")
    if not isinstance(network, nn.Module):
        raise ExportError(f"network_def of {config} is a {type(network).__name__}, not a network.")
    network.load_state_dict(torch.load(bundle / MODEL_PT, map_location="cpu", weights_only=True))
    return network.eval()


def seeded_inputs(bundle: Path) -> list[Tensor]:
    """Two standard normal images (1, C, X, Y, Z) and (2, C, X, Y, Z) of the patch size."""
    plan = Bundle(bundle).plan
    shape = (plan.num_channels, *plan.patch_size.value)
    images = []
    for batch, seed in zip((1, 2), SEEDS, strict=True):
        images.append(torch.randn(batch, *shape, generator=torch.Generator().manual_seed(seed)))
    return images


def to_torchscript(network: nn.Module, target: Path, bundle: Path, config: Path, image: Tensor) -> Converted:
    """TorchScript with the configs in its extra files, as monai.bundle's ckpt_export lays them out.

    A network that cannot be scripted is traced; the comparison with another batch then tells whether that was safe.
    """
    from monai.data import save_net_with_metadata

    try:
        module, method = torch.jit.script(network), "script"
    except (RuntimeError, torch.jit.frontend.FrontendError):  # UnsupportedNodeError, NotSupportedError are such
        with torch.no_grad():
            module, method = torch.jit.trace(network, image), "trace"
    inference = json.dumps(_packaged_inference(bundle, config)).encode()
    metadata = Bundle(bundle).metadata
    save_net_with_metadata(
        module,
        str(target),
        meta_values=metadata,
        more_extra_files={"inference.json": inference},
        append_timestamp=False,
    )
    return Converted(method=method, any_batch=True, run=torch.jit.load(str(target), map_location="cpu"))


def _packaged_inference(bundle: Path, config: Path) -> dict[str, Any]:
    """inference.json for a program that has the file alone: of MONAI's classes where MONAI has them all."""
    source = Bundle(bundle)
    try:
        return stock_inference(source.plan, strategy_of(source))
    except InputError:
        content: dict[str, Any] = ConfigParser.load_config_file(str(config))
        return content


def to_torch_export(network: nn.Module, target: Path, image: Tensor) -> Converted:
    """torch.export's program, for any batch where the network allows it, otherwise for single patches."""
    dynamic = ({0: torch.export.Dim("batch", min=1, max=MAX_BATCH)},)
    try:
        pair = image.repeat(2, 1, 1, 1, 1)  # a single patch would be taken for a constant
        program, any_batch = torch.export.export(network, (pair,), dynamic_shapes=dynamic), True
    except (RuntimeError, ValueError, AssertionError):  # UserError and ConstraintViolationError are such
        program, any_batch = torch.export.export(network, (image,)), False
    torch.export.save(program, target)
    return Converted(method="torch.export", any_batch=any_batch, run=torch.export.load(target).module())


def to_onnx(network: nn.Module, target: Path, image: Tensor) -> Converted:
    """ONNX with input `image` and output `pred`, weights inside the file; run by onnxruntime on the CPU."""
    import onnx
    import onnxruntime

    dynamic = ({0: torch.export.Dim("batch", min=1, max=MAX_BATCH)},)
    names: dict[str, Any] = {"input_names": ["image"], "output_names": ["pred"], "opset_version": OPSET}
    pair = image.repeat(2, 1, 1, 1, 1)
    program = torch.onnx.export(network, (pair,), dynamo=True, dynamic_shapes=dynamic, verbose=False, **names)
    if program is None:
        raise ExportError("torch.onnx.export gave no program.")
    program.save(str(target), external_data=False)
    onnx.checker.check_model(str(target))
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])

    def run(inputs: Tensor) -> Tensor:
        (output,) = session.run(["pred"], {"image": inputs.numpy()})
        return torch.from_numpy(np.asarray(output))

    return Converted(method=f"onnx opset {OPSET}", any_batch=True, run=run)


def to_state_dict(network: nn.Module, target: Path, again: Callable[[], nn.Module]) -> Converted:
    """A plain dictionary of tensors, read back with weights_only=True into a newly built network."""
    torch.save(network.state_dict(), target)
    fresh = again()
    fresh.load_state_dict(torch.load(target, map_location="cpu", weights_only=True))
    return Converted(method="weights", any_batch=True, run=fresh)


def to_safetensors(network: nn.Module, target: Path, again: Callable[[], nn.Module]) -> Converted:
    """Tensors without pickle; a tensor that goes by two names is written once and the other name in the metadata."""
    from safetensors.torch import load_model, save_model

    save_model(network, str(target), metadata={"format": "pt"})
    fresh = again()
    load_model(fresh, str(target))
    return Converted(method="weights", any_batch=True, run=fresh)


def _unloaded(bundle: Path, config: Path) -> nn.Module:
    network = load_network(bundle, config)
    for parameter in network.parameters():  # nothing of the weights that were just loaded may survive
        nn.init.constant_(parameter, 0.5)
    return network


def _single(output: Any) -> Tensor:
    if not isinstance(output, Tensor):
        raise ExportError(f"the network gives a {type(output).__name__} in evaluation mode; expected a tensor.")
    return output


def compare(network: nn.Module, converted: Converted, inputs: Sequence[Tensor]) -> tuple[list[float], float]:
    """For each input the largest difference of the logits, and the largest logit of all."""
    differences, largest = [], 0.0
    for image in inputs:
        with torch.no_grad():
            expected = _single(network(image))
            actual = _single(converted.run(image))
        if actual.shape != expected.shape:
            message = f"the exported network gives the shape {tuple(actual.shape)}; expected {tuple(expected.shape)}."
            raise ExportError(message)
        if not bool(torch.isfinite(expected).all() and torch.isfinite(actual).all()):
            raise ExportError("there are infinite or undefined numbers in the outputs; nothing can be compared.")
        differences.append(float((actual - expected).abs().max()))
        largest = max(largest, float(expected.abs().max()))
    return differences, largest


def main(request: dict[str, str]) -> None:
    """Make the file of a request and write how it compares."""
    bundle, config, target = Path(request["bundle"]), Path(request["config"]), Path(request["target"])
    network = load_network(bundle, config)
    first, second = seeded_inputs(bundle)
    with torch.no_grad():
        _single(network(first))
    converters: dict[str, Callable[[], Converted]] = {
        "torchscript": lambda: to_torchscript(network, target, bundle, config, first),
        "torch_export": lambda: to_torch_export(network, target, first),
        "onnx": lambda: to_onnx(network, target, first),
        "state_dict": lambda: to_state_dict(network, target, lambda: _unloaded(bundle, config)),
        "safetensors": lambda: to_safetensors(network, target, lambda: _unloaded(bundle, config)),
    }
    converted = converters[request["format"]]()
    inputs = [first, second if converted.any_batch else second[:1]]
    differences, largest = compare(network, converted, inputs)
    content = target.read_bytes()
    result = {
        "method": converted.method,
        "batch": "any" if converted.any_batch else "1",
        "size_bytes": len(content),
        "sha256": sha256_of_bytes(content),
        "max_abs_difference": differences,
        "largest_logit": largest,
    }
    write_json(Path(request["result"]), result)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
