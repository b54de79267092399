"""Seconds of one window by torch, torch.compile, bfloat16, ONNX Runtime and OpenVINO, one thread of the processor.

    scripts/benchmark engine [--sizes 64 128] [--networks nnunet-subpixel nnunet-pocket nnunet]

OPENVINO_PYTHON names an interpreter with `openvino` (`pip install openvino numpy` in an environment of its own);
ONNX Runtime is used where it is installed here. Every engine gets the same weights and the same window; besides the
time, the share of voxels whose class is that of torch in float32 is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_prediction import OURS, ROOT, call

OPENVINO = """
import json, sys, time
import numpy as np
import openvino
model, window, answer, precision, repeats = sys.argv[1:]
core = openvino.Core()
settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision}
compiled = core.compile_model(model, "CPU", settings)
image = np.load(window)
compiled(image)
times = []
for _ in range(int(repeats)):
    started = time.process_time()
    scores = compiled(image)[0]
    times.append(time.process_time() - started)
np.save(answer, scores.astype(np.float32))
print(json.dumps(sorted(times)[len(times) // 2]))
"""


def network_of(name: str, work: Path, data: Path) -> torch.nn.Module:
    """The network that a plan of three classes gives, with weights as initialised."""
    from monai.bundle import ConfigParser

    output = work / name
    command = ["autoconfig", str(data / "dataset.json"), "--output", str(output), "--folds", "2", "--network", name]
    recipe = "quick" if name == "nnunet-subpixel" else "paper"
    call([*OURS, *command, "--patch_size", "64,64,64", "--recipe", recipe])
    bundle = next(path for path in output.iterdir() if (path / "configs").is_dir())
    for module in [module for module in sys.modules if module.split(".")[0] == "scripts"]:
        del sys.modules[module]
    sys.path.insert(0, str(bundle))
    parser = ConfigParser()
    parser.read_config(bundle / "configs/inference.json")
    network: torch.nn.Module = parser.get_parsed_content("network_def")
    sys.path.remove(str(bundle))
    return network.eval()


def seconds_of(predict: Callable[[], np.ndarray], repeats: int) -> tuple[float, np.ndarray]:
    """Median processor seconds after a first call, and the scores."""
    scores = predict()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        scores = predict()
        times.append(time.process_time() - started)
    return sorted(times)[len(times) // 2], scores


def with_torch(network: Any, window: torch.Tensor, bfloat16: bool) -> Callable[[], np.ndarray]:
    """A function that predicts the window."""

    def predict() -> np.ndarray:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            scores: np.ndarray = network(window).float().numpy()
        return scores

    return predict


def with_onnxruntime(model: Path, window: torch.Tensor) -> Callable[[], np.ndarray]:
    """The same by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: window.numpy()})[0]


def measure(network: torch.nn.Module, size: int, repeats: int, work: Path, *, with_compile: bool) -> None:
    """Print a line for each engine."""
    torch.manual_seed(0)
    window = torch.nn.functional.interpolate(torch.randn(1, 1, size // 8, size // 8, size // 8), scale_factor=8.0)
    seconds, reference = seconds_of(with_torch(network, window, bfloat16=False), repeats)
    classes = reference.argmax(axis=1)
    report("torch fp32", seconds, seconds, reference, classes)
    first = seconds
    seconds, scores = seconds_of(with_torch(network, window, bfloat16=True), repeats)
    report("torch bf16", seconds, first, scores, classes)
    compiled = torch.compile(network)
    for bfloat16 in (False, True) if with_compile else ():
        seconds, scores = seconds_of(with_torch(compiled, window, bfloat16), repeats)
        report(f"torch.compile {'bf16' if bfloat16 else 'fp32'}", seconds, first, scores, classes)
    model = work / f"{size}.onnx"
    torch.onnx.export(network, (window,), dynamo=True, verbose=False).save(str(model), external_data=False)
    seconds, scores = seconds_of(with_onnxruntime(model, window), repeats)
    report("ONNX Runtime fp32", seconds, first, scores, classes)
    if os.environ.get("OPENVINO_PYTHON"):
        np.save(work / "window.npy", window.numpy())
        for precision in ("f32", "bf16"):
            words = [str(model), str(work / "window.npy"), str(work / "scores.npy"), precision, str(repeats)]
            done = subprocess.run(
                [os.environ["OPENVINO_PYTHON"], "-c", OPENVINO, *words], capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                sys.stdout.write(f"  OpenVINO {precision}: {done.stderr.strip().splitlines()[-1]}\n")
                continue
            report(f"OpenVINO {precision}", json.loads(done.stdout), first, np.load(work / "scores.npy"), classes)


def report(engine: str, seconds: float, first: float, scores: np.ndarray, classes: np.ndarray) -> None:
    """A line."""
    same = (scores.argmax(axis=1) == classes).mean()
    sys.stdout.write(f"  {engine:20s} {seconds:8.3f} s  {seconds / first:5.2f} of torch fp32  {same:.5f} same class\n")
    sys.stdout.flush()


def main() -> None:
    """Measure each network at each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["nnunet-subpixel", "nnunet-pocket", "nnunet"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = Path(os.environ.get("MIST_BUNDLE_DATA", ROOT.parent / "shared/data"))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = str(data / "Task04_Hippocampus")
        call([*OURS, "convert_msd", "--source", source, "--output", str(work / "cases"), "--limit", "6"])
        for name in options.networks:
            network = network_of(name, work, work / "cases")
            for size in options.sizes:
                sys.stdout.write(f"{name}, {size} x {size} x {size}\n")
                measure(network, size, options.repeats, work, with_compile=options.compile)


if __name__ == "__main__":
    main()
