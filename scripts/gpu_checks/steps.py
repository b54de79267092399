"""Forward and backward passes of two networks in each precision, with and without torch.compile and channels last."""

from __future__ import annotations

import time
from functools import partial

import torch
from bench import Bench, Figures
from phantom_bundles import bundle_of, parser

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.timing_worker import random_batch

NETWORKS = ("nnunet", "nnunet-pocket")
PRECISIONS = ("bf16", "tf32", "fp32")
SECONDS, COMPILE_SECONDS = 4.0, 40.0  # that a variant needs at least


def check(bench: Bench) -> None:
    """Report each variant; those that are compiled come last, since they take the longest."""
    for compiled in (False, True):
        needs = (COMPILE_SECONDS if compiled else SECONDS) if bench.on_gpu else 0.0
        for precision in PRECISIONS:
            for channels_last in (False, True):
                for network in NETWORKS:
                    words = [network, precision]
                    words += ["channels last"] if channels_last else []
                    words += ["compiled"] if compiled else []
                    measure = partial(time_passes, bench, network, precision, channels_last, compiled)
                    bench.attempt(", ".join(words), measure, needs)


def time_passes(bench: Bench, network_name: str, precision: str, channels_last: bool, compiled: bool) -> Figures:
    """Milliseconds of a forward pass with its loss and of a backward pass, and the peak of memory."""
    bundle = bundle_of(bench, network_name)
    settings = parser(bench, bundle, "train", precision="bf16" if precision == "bf16" else "fp32")
    network, loss, infer = (settings.get_parsed_content(name) for name in ("network", "loss", "train#inferer"))
    set_tf32(allowed=precision != "fp32")
    image, target = random_batch(Bundle(bundle).plan, bench.scale.batch, list(bench.scale.patch), bench.device)
    if channels_last:
        network = network.to(memory_format=torch.channels_last_3d)
        image = image.to(memory_format=torch.channels_last_3d)
    network.train()
    if compiled:
        torch._dynamo.reset()
        network = torch.compile(network, backend=bench.scale.backend)
    bench.reset_peak()
    forward, backward = [], []
    for _ in range(bench.scale.warm_up + bench.scale.passes):
        bench.synchronize()
        begun = time.perf_counter()
        value = loss(infer(image, network), target)
        bench.synchronize()
        between = time.perf_counter()
        value.backward()
        bench.synchronize()
        forward.append(between - begun)
        backward.append(time.perf_counter() - between)
        for parameter in network.parameters():
            parameter.grad = None
    ahead, back = (sum(times[bench.scale.warm_up :]) / bench.scale.passes for times in (forward, backward))
    return {
        "forward ms": round(1000 * ahead, 1),
        "backward ms": round(1000 * back, 1),
        "patches/s": round(bench.scale.batch / (ahead + back), 2),
        "peak GB": bench.peak_gb(),
    }


def set_tf32(*, allowed: bool) -> None:
    """Let products of float32 round their factors to TensorFloat-32, or not."""
    torch.backends.cudnn.allow_tf32 = allowed
    torch.set_float32_matmul_precision("high" if allowed else "highest")
