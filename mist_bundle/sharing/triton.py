"""Export a bundle's network for NVIDIA Triton Inference Server: a model repository with an ONNX file and its settings.

The layout and config.pbtxt follow Triton's documentation (model_repository.md and model_configuration.md of
github.com/triton-inference-server/server). The ONNX file is the one of `export --format onnx`, which was compared with
the network; names, types and sizes in config.pbtxt are read from it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import InputError, MistBundleError, Problem
from mist_bundle.files import check_can_write, new_folder, refuse_existing, write_text
from mist_bundle.runtime.folds.files import copy_whole
from mist_bundle.sharing.export import Exported, export_bundle
from mist_bundle.sharing.export_worker import MAX_BATCH

CONFIG = "config.pbtxt"
VERSION = "1"  # Triton's folder of a model's version is a whole number
MODEL_ONNX = "model.onnx"
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
# what onnxruntime calls a type -> what Triton calls it
_TYPES = {"tensor(float)": "TYPE_FP32", "tensor(float16)": "TYPE_FP16", "tensor(int64)": "TYPE_INT64"}


@dataclass(frozen=True, kw_only=True, slots=True)
class TritonModel:
    """A model in a model repository.

    Attributes:
        folder: of the model, which is in the repository.
        exported: how the ONNX file compares with the network.
    """

    folder: Path
    exported: Exported


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensor:
    """An input or output, without its batch axis."""

    name: str
    data_type: str
    dims: tuple[int, ...]


def export_triton(bundle: Path, output: Path, *, trust: bool = False) -> TritonModel:
    """Put the network of models/model.pt into a model repository.

    Args:
        bundle: a trained bundle.
        output: the model repository; a folder named like the bundle is created in it, and must not exist.
        trust: export a bundle that does not pass the audit.

    Raises:
        InputError: no weights, packages are missing, or the model is in the repository already.
        MistBundleError: the network cannot be converted, or the ONNX file gives different numbers.
    """
    name = Bundle(bundle).root.absolute().name
    if not _NAME.fullmatch(name):
        raise InputError(Problem(name, "cannot be a model's name for Triton: use letters, digits, '.', '_' and '-'."))
    target = output.absolute() / name
    refuse_existing(target, overwrite=False)
    check_can_write(output)
    with tempfile.TemporaryDirectory(prefix="mist_bundle_") as scratch:
        report = export_bundle(bundle, ["onnx"], Path(scratch), trust=trust)
        if report.problems():
            raise MistBundleError(f"{bundle}: {report.problems()[0]} Nothing was written.")
        onnx = Path(scratch) / MODEL_ONNX
        inputs, outputs = tensors_of(onnx)
        with new_folder(target, inputs=[bundle]) as folder:
            (folder / VERSION).mkdir()
            copy_whole(onnx, folder / VERSION / MODEL_ONNX)
            write_text(folder / CONFIG, config_text(name, inputs, outputs))
    return TritonModel(folder=target, exported=report.formats[0])


def tensors_of(onnx: Path) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and outputs of an ONNX file, as onnxruntime reads them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    return [_tensor(node) for node in session.get_inputs()], [_tensor(node) for node in session.get_outputs()]


def _tensor(node: Any) -> Tensor:
    dims = []
    for size in node.shape[1:]:
        dims.append(size if isinstance(size, int) else -1)  # Triton's sign for an axis of any length
    return Tensor(name=node.name, data_type=_TYPES[node.type], dims=tuple(dims))


def config_text(name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> str:
    """config.pbtxt: a protobuf of the type ModelConfig, as text."""
    lines = [
        f'name: "{name}"',
        'backend: "onnxruntime"',
        f"max_batch_size: {MAX_BATCH}",
        *_tensor_lines("input", inputs),
        *_tensor_lines("output", outputs),
        "# patches of several clients are computed together",
        "dynamic_batching { }",
    ]
    return "\n".join(lines) + "\n"


def _tensor_lines(kind: str, tensors: Sequence[Tensor]) -> list[str]:
    lines = [f"{kind} ["]
    for index, tensor in enumerate(tensors):
        dims = ", ".join(map(str, tensor.dims))
        end = "," if index + 1 < len(tensors) else ""
        lines += [
            "  {",
            f'    name: "{tensor.name}"',
            f"    data_type: {tensor.data_type}",
            f"    dims: [ {dims} ]",
            f"  }}{end}",
        ]
    return [*lines, "]"]
