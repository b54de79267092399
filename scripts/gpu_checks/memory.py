"""The memory model of the plans against the peaks of training steps, each in a process of its own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bench import Bench, Figures
from phantom_bundles import bundle_of

from mist_bundle.bundle.folder import Bundle
from mist_bundle.pipeline.cost_estimate import time_steps
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.memory import plan_memory

VARIANTS = (("nnunet", "bf16"), ("nnunet", "fp32"), ("nnunet-pocket", "bf16"), ("unet", "bf16"), ("segresnet", "bf16"))
STEPS = 2  # the optimizer's state is there from the second one on
SECONDS = 15.0  # that a process needs at least


def check(bench: Bench) -> None:
    """Report modelled and measured peaks."""
    variants = VARIANTS if bench.on_gpu else VARIANTS[:1]
    for network, precision in variants:
        measure = partial(compare, bench, network, precision)
        bench.attempt(f"{network}, {precision}", measure, SECONDS if bench.on_gpu else 0.0)


def compare(bench: Bench, network: str, precision: str) -> Figures:
    """Gigabytes that the model says and those measured; on a GPU of tensors, without the context of CUDA."""
    bundle = bundle_of(bench, network)
    plan = replace(Bundle(bundle).plan, precision=Decision(precision, ""))
    use = plan_memory(plan, on_gpu=bench.on_gpu, half=precision == "bf16")
    if use is None:
        raise ValueError(f"the memory of {network} is not modelled")
    found = time_steps(bundle, {"precision": precision}, bench.device.type, STEPS)
    measured = found["allocated_bytes"] if bench.on_gpu else found["memory_bytes"]
    modelled = use.total - use.base if bench.on_gpu else use.total
    return {
        "measured GB": round(measured / 1e9, 2),
        "modelled GB": round(modelled / 1e9, 2),
        "error": f"{modelled / measured - 1:+.0%}",
        "reserved GB": round(found["memory_bytes"] / 1e9, 2),
        "modelled with context GB": round(use.total / 1e9, 2),
    }
