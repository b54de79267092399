"""A model repository for Triton: its settings are those of the ONNX file, which gives the network's numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mist_bundle import cli
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, InputError
from mist_bundle.sharing.triton import Tensor, config_text, export_triton, tensors_of

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def parsed(text: str) -> dict[str, Any]:
    """config.pbtxt as another program reads it: with Triton's own definition where its client is installed."""
    pytest.importorskip("tritonclient", reason="tritonclient is not installed; scripts/consumers triton parses it")
    from google.protobuf import json_format, text_format
    from tritonclient.grpc import model_config_pb2

    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    content: dict[str, Any] = json_format.MessageToDict(config, preserving_proto_field_name=True)
    return content


@pytest.fixture
def identity_onnx(tmp_path: Path) -> Path:
    """An ONNX file with two inputs, one of them with an axis of any length."""
    from onnx import TensorProto, helper

    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 2, 8, 8, "slices"])
    number = helper.make_tensor_value_info("number", TensorProto.INT64, ["batch", 1])
    pred = helper.make_tensor_value_info("pred", TensorProto.FLOAT, ["batch", 2, 8, 8, "slices"])
    node = helper.make_node("Identity", ["image"], ["pred"])
    graph = helper.make_graph([node], "identity", [image, number], [pred])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_settings_are_read_from_the_onnx_file(identity_onnx: Path) -> None:
    inputs, outputs = tensors_of(identity_onnx)
    assert inputs == [
        Tensor(name="image", data_type="TYPE_FP32", dims=(2, 8, 8, -1)),
        Tensor(name="number", data_type="TYPE_INT64", dims=(1,)),
    ]
    assert outputs == [Tensor(name="pred", data_type="TYPE_FP32", dims=(2, 8, 8, -1))]
    text = config_text("liver", inputs, outputs)
    assert re.findall(r"dims: \[ (.*) \]", text) == ["2, 8, 8, -1", "1", "2, 8, 8, -1"]
    assert text.count("{") == text.count("}")


def test_triton_reads_the_settings(identity_onnx: Path) -> None:
    config = parsed(config_text("liver", *tensors_of(identity_onnx)))
    assert (config["name"], config["backend"], config["max_batch_size"]) == ("liver", "onnxruntime", 64)
    assert [tensor["name"] for tensor in config["input"]] == ["image", "number"]
    assert config["output"] == [{"name": "pred", "data_type": "TYPE_FP32", "dims": ["2", "8", "8", "-1"]}]


def test_a_model_that_is_there_is_not_replaced(own_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "models" / own_bundle.name).mkdir(parents=True)
    with pytest.raises(InputError, match="exists already"):
        export_triton(own_bundle, tmp_path / "models")


def test_a_bundle_without_weights_is_refused_and_nothing_is_written(own_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Train the bundle first"):
        export_triton(own_bundle, tmp_path / "models")
    assert not (tmp_path / "models").exists()


@pytest.mark.slow
def test_the_repository_of_a_trained_bundle(trained_bundle: Path, tmp_path: Path) -> None:
    import onnxruntime
    import torch
    from monai.bundle import ConfigParser

    repository = tmp_path / "models"
    words = ["export", str(trained_bundle), "--format", "triton", "--output", str(repository)]
    assert cli.main(words) == EXIT_OK
    model = repository / trained_bundle.name
    assert sorted(path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file()) == [
        "1/model.onnx",
        "config.pbtxt",
    ]
    session = onnxruntime.InferenceSession(str(model / "1/model.onnx"), providers=["CPUExecutionProvider"])
    dims = re.findall(r"dims: \[ (.*) \]", (model / "config.pbtxt").read_text())
    assert dims == [", ".join(map(str, node.shape[1:])) for node in (*session.get_inputs(), *session.get_outputs())]
    parser = ConfigParser()
    parser.read_config(str(trained_bundle / "configs/inference.json"))
    import sys

    sys.path.insert(0, str(trained_bundle))
    try:
        network = parser.get_parsed_content("network_def")
    finally:
        sys.path.remove(str(trained_bundle))
    network.load_state_dict(torch.load(trained_bundle / "models/model.pt", weights_only=True))
    patches = torch.rand(3, *map(int, dims[0].split(", ")), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network.eval()(patches).numpy()
    (given,) = session.run(["pred"], {"image": patches.numpy()})
    np.testing.assert_allclose(given, expected, atol=1e-4 * max(1.0, float(np.abs(expected).max())))
    assert cli.main(words) == EXIT_INPUT_REFUSED, "it is there already"
