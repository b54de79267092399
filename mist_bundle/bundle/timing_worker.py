"""Some steps of a bundle's training on random images, timed; a process of its own, so that its peak memory is theirs.

Its request: "bundle", "steps", "device", "overrides" of train.json as JSON, and "answer": the file that it writes.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.trial_worker import parser_of
from mist_bundle.files import write_json
from mist_bundle.planning.plan import Plan


def main(request: dict[str, str]) -> None:
    """Time the steps of a request and write what was seen."""
    bundle = Path(request["bundle"])
    folder = Bundle(bundle)
    parser = parser_of(bundle, folder.config_path("train"))
    parser.update(json.loads(request["overrides"]))
    device = torch.device(request["device"])
    parser["device"] = device
    parser.get_parsed_content("initialize")  # the settings of torch that a training has
    seconds = _time(parser, folder.plan, device, int(request["steps"]))
    found = {"seconds": seconds, "memory_bytes": _peak_bytes(device), "threads": torch.get_num_threads()}
    if device.type == "cuda":
        found["allocated_bytes"] = torch.cuda.max_memory_allocated(device)
    write_json(Path(request["answer"]), found)


def _time(parser: Any, plan: Plan, device: torch.device, steps: int) -> list[float]:
    """Seconds of each optimizer step; the first prepares what the others find ready."""
    network, loss, optimizer = (parser.get_parsed_content(name) for name in ("network", "loss", "optimizer"))
    infer = parser.get_parsed_content("train#inferer")
    passes = int(parser["accumulation_steps"])
    patches = -(-int(parser["batch_size"]) // passes)
    image, target = random_batch(plan, patches, list(parser["patch_size"]), device)
    network.train()
    seconds = []
    for _ in range(steps):
        begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        for _ in range(passes):
            loss(infer(image, network), target).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begun)
    return seconds


def random_batch(plan: Plan, patches: int, patch_size: list[int], device: torch.device) -> tuple[Tensor, Any]:
    """Return an image and a target of a plan's channels and classes, as the loss takes them."""
    random = torch.Generator().manual_seed(0)
    image = torch.randn(patches, plan.num_channels, *patch_size, generator=random).to(device)
    label = torch.randint(0, plan.num_classes, (patches, 1, *patch_size), generator=random).to(torch.uint8).to(device)
    if not plan.distance_maps.value:
        return image, label
    maps = torch.randn(patches, len(plan.output_names), *patch_size, generator=random).to(device)
    return image, {"label": label, "dtm": maps}


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
