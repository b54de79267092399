"""A stand-in for Triton Inference Server: its gRPC interface over a model repository. Run by the environment triton.

    triton_server.py MODEL_REPOSITORY ADDRESS_FILE

It reads config.pbtxt with Triton's own definition, refuses requests that do not fit it, computes with onnxruntime, and
writes its address into ADDRESS_FILE. It ends when its standard input is closed.
"""

from __future__ import annotations

import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc


class Server(service_pb2_grpc.GRPCInferenceServiceServicer):
    """The calls that the client of docs/triton.md makes."""

    def __init__(self, repository: Path) -> None:
        self.configs: dict[str, Any] = {}
        self.sessions: dict[str, Any] = {}
        for folder in repository.iterdir():
            config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
            if (config.name, config.backend) != (folder.name, "onnxruntime"):
                raise ValueError(f"{folder}: config.pbtxt is of {config.name} for the backend {config.backend}.")
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(str(folder / "1/model.onnx"), options)
            self.configs[config.name], self.sessions[config.name] = config, session
            self._check(config, session)

    @staticmethod
    def _check(config: Any, session: Any) -> None:
        """Triton refuses to load a model whose tensors are not those of its config.pbtxt."""
        for described, nodes in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
            stated = {tensor.name: list(tensor.dims) for tensor in described}
            actual = {node.name: node.shape[1:] for node in nodes}
            if stated != actual or {node.type for node in nodes} != {"tensor(float)"}:
                raise ValueError(f"config.pbtxt says {stated}; model.onnx has {actual}.")

    def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The settings of a model."""
        del context
        return service_pb2.ModelConfigResponse(config=self.configs[request.name])

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The output of a model for a batch."""
        config = self.configs[request.model_name]
        (given,) = request.inputs
        batch, *dims = given.shape
        if given.datatype != "FP32" or dims != list(config.input[0].dims) or batch > config.max_batch_size:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{given.datatype} {list(given.shape)} does not fit.")
        values = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(given.shape)
        (result,) = self.sessions[request.model_name].run(["pred"], {"image": values})
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        answer.outputs.add(name="pred", datatype="FP32", shape=result.shape)
        answer.raw_output_contents.append(result.astype(np.float32).tobytes())
        return answer


def main() -> None:
    """Serve until standard input ends."""
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(1), options=unlimited)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Server(Path(sys.argv[1])), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    Path(sys.argv[2]).write_text(f"127.0.0.1:{port}", encoding="utf-8")
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
