"""The table of networks: each is trained for 20 steps on real data, tried in bfloat16, exported and counted.

Every network has a process of its own, so that its peak memory is its own too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs/menu_networks.json"
CASES = 8
STEPS = 20
BATCH = 2
PATCH = (32, 48, 32)
# the networks of tens and hundreds of millions of parameters, which would take hours on two cores
LARGE = ("resenc-m", "resenc-l", "resenc-xl", "swinunetr-base", "swinunetr-large", "mednext-medium", "mednext-large")
LARGE_BATCH = 1
LARGE_PATCH = (32, 32, 32)
FULL_PATCH = (128, 128, 128)
SECONDS_LIMIT = 3000
MARK = "FIGURES "


def measure(names: Sequence[str], options: argparse.Namespace) -> None:
    """Measure networks (all if none is named) one after the other, keeping each one's figures as soon as it is done."""
    from mist_bundle.catalog.networks import NETWORKS
    from mist_bundle.dataset.msd_layout import convert_msd
    from mist_bundle.files import write_json

    if options.data is None:
        raise SystemExit("--data: name the folder of the decathlon's Task04_Hippocampus, or pass --render.")
    figures: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        dataset = convert_msd(options.data, Path(folder) / "data", limit=CASES)
        for name in names or NETWORKS:
            figures[name] = _in_a_process(name, dataset, Path(folder))
            print(name, figures[name], flush=True)
            write_json(FIGURES, {key: figures[key] for key in NETWORKS if key in figures})


def _in_a_process(name: str, dataset: Path, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", __file__, name, str(dataset), str(folder)]
    # threads that wait for each other sleep, so that the seconds of the processor are those of the work
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not done within {SECONDS_LIMIT} s"}
    lines = [line[len(MARK) :] for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode != 0 or not lines:
        print(done.stderr[-2000:], file=sys.stderr)
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}"
        return {"failed": reason[:200]}
    content: dict[str, Any] = json.loads(lines[-1])
    return content


def _measure_one(name: str, dataset: Path, folder: Path) -> dict[str, Any]:
    from mist_bundle import pipeline
    from mist_bundle.planning.options import PlanOptions

    batch, patch = (LARGE_BATCH, LARGE_PATCH) if name in LARGE else (BATCH, PATCH)
    options = PlanOptions(
        recipe="paper",
        network=name,
        patch_size=patch,
        batch_size=batch,
        folds=2,
        val_fraction=0,
        steps_per_epoch=STEPS,
    )
    made = pipeline.autoconfig(dataset, folder / name, options, workers=1)
    os.chdir(made.bundle)  # as `python -m monai.bundle run` of a bundle started from its own folder
    figures: dict[str, Any] = {
        "parameters_128": _parameters_at_128(name),
        "batch": batch,
        "patch": list(made.plan.patch_size.value),
        "heads": made.plan.deep_supervision_heads.value,
    }
    figures |= _train(made.bundle, folder / "work")
    figures["peak_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    figures |= _export(made.bundle)
    return figures


def _parameters_at_128(name: str) -> int:
    import torch
    from monai.bundle import ConfigParser

    from mist_bundle.catalog.networks import NETWORKS
    from mist_bundle.planning.network_size import SizeRequest
    from mist_bundle.planning.networks import size_network
    from mist_bundle.planning.recipes import RECIPES

    row, recipe = NETWORKS[name], RECIPES["paper"]
    heads = row.defaults.get("deep_supervision_heads", recipe.options.deep_supervision_heads)
    size = size_network(
        row,
        SizeRequest(
            patch_size=FULL_PATCH,
            spacing_mm=(1, 1, 1),
            in_channels=1,
            out_channels=2,
            filters=recipe.filters,
            residual=row.defaults.get("residual", recipe.options.residual),
            kernel_size=3,
            heads=heads,
        ),
    )
    target = row.target.replace("scripts.", "mist_bundle.runtime.")
    # without storage where the network can be built so: only the shapes count
    with torch.device("cpu" if row.sizing == "swin_unetr" else "meta"):
        network = ConfigParser({"network": {"_target_": target, **size.arguments}}).get_parsed_content("network")
    own = sum(parameter.numel() for parameter in network.parameters())
    return own + sum(2 * channels + 2 for channels in size.head_channels[:heads])


def _train(bundle: Path, work: Path) -> dict[str, Any]:
    import torch
    from ignite.engine import Events
    from monai.bundle import ConfigParser

    config = ConfigParser()
    config.read_config(str(bundle / "configs/train.json"))
    config.update({"epochs": 1, "work_dir": str(work), "bundle_root": str(bundle)})
    for step in range(len(config["initialize"])):
        config.get_parsed_content(f"initialize#{step}")
    trainer, loader = (config.get_parsed_content(f"train#{part}") for part in ("trainer", "dataloader"))
    network = config.get_parsed_content("network_def")
    next(iter(loader))  # the arrays are prepared before the clock starts
    losses: list[float] = []
    ends: list[float] = []
    cpu: list[float] = []

    def keep(engine: Any) -> None:
        losses.append(float(engine.state.output["loss"]))
        ends.append(time.perf_counter())
        cpu.append(time.process_time())

    trainer.add_event_handler(Events.ITERATION_COMPLETED, keep)
    trainer.run()
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "loss_first": round(sum(losses[:5]) / 5, 4),
        "loss_last": round(sum(losses[-5:]) / 5, 4),
        # the first two steps warm up
        "seconds_per_step": round((ends[-1] - ends[1]) / (len(ends) - 2), 3),
        "cpu_seconds_per_step": round((cpu[-1] - cpu[1]) / (len(cpu) - 2), 3),
        "bf16": _bfloat16(network, config.get_parsed_content("loss"), next(iter(loader))),
        "threads": torch.get_num_threads(),
    }


def _bfloat16(network: Any, loss: Any, batch: Any) -> str:
    import torch

    network.train().zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(batch["image"])
    output = output.float() if isinstance(output, torch.Tensor) else [head.float() for head in output]
    loss(output, batch["label"]).backward()
    finite = all(
        torch.isfinite(parameter.grad).all() for parameter in network.parameters() if parameter.grad is not None
    )
    network.zero_grad()
    return "yes" if finite else "gradients not finite"


def _export(bundle: Path) -> dict[str, Any]:
    import torch
    from monai.bundle import ConfigParser
    from monai.networks.utils import convert_to_torchscript

    config = ConfigParser()
    config.read_config(str(bundle / "configs/inference.json"))
    config.update({"bundle_root": str(bundle)})
    network = config.get_parsed_content("network_def").eval()
    image = torch.randn(1, 1, *config["patch_size"], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(image)
    try:
        exported, way = convert_to_torchscript(network), "TorchScript"
    except Exception as error:  # noqa: BLE001 - torch raises many kinds; the table says which way works
        print(f"TorchScript: {str(error).strip().splitlines()[0]}", file=sys.stderr)
        exported, way = torch.export.export(network, (image,)).module(), "torch.export"
    with torch.no_grad():
        difference = float((exported(image) - expected).abs().max())
    return {"export": way, "export_difference": difference, "export_scale": float(expected.abs().max())}


def section() -> str:
    """The table as Markdown."""
    from mist_bundle.catalog.networks import NETWORKS

    figures: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {}
    counts = sorted({row["threads"] for row in figures.values() if "threads" in row})
    threads = " or ".join(map(str, counts)) or "?"
    rows = [_row(name, figures.get(name, {"failed": "not measured"})) for name in NETWORKS]
    patch, small = ("x".join(map(str, size)) for size in (PATCH, LARGE_PATCH))
    return f"""## Networks

{STEPS} steps of each bundle's own training (recipe `paper`: Adam 3e-4, Dice + cross-entropy, the network's default
heads) on {CASES} cases of the decathlon's hippocampus task, {BATCH} patches of {patch} (the largest networks:
{LARGE_BATCH} of {small}) or what the network makes of it; on a CPU ({threads} threads).

- *parameters at 128³*: one channel, two classes, 1 mm, training heads included: the convention of MIST 2.3.0's counts.
  *2.3.0*: the difference from what its own network of that name counts; – where it has none, and so nothing to differ
  from (plain and attention U-Nets were removed from it; SegResNet and nnunet-subpixel were never there).
- *here*: the network that was trained, sized for its patch, with the heads and three classes.
- *loss*: mean of the first five steps and of the last five.
- *bf16*: forward and backward under bfloat16 autocast with finite gradients (emulated where a CPU cannot).
- *export*: of the network of inference.json, with the greatest difference from it (and the greatest logit, for scale).
- *s / step*: wall clock on a machine that did other work besides and, in brackets, seconds of the processor.
- *memory*: peak of the whole process, Python and libraries included (about 0.7 GiB before anything is trained).

| network | parameters at 128³ | 2.3.0 | here | patches | loss | falls | bf16 | export | s / step | memory GiB |
|---|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}
"""


def _row(name: str, figures: dict[str, Any]) -> str:
    if "failed" in figures:
        return f"| {name} | {figures['failed']} | | | | | | | | | |"
    falls = "yes" if figures["loss_last"] < figures["loss_first"] else "no"
    export = f"{figures['export']}, {figures['export_difference']:.0e} of {figures['export_scale']:.1f}"
    return (
        f"| {name} | {figures['parameters_128']:,} | {_against_mist(name, figures['parameters_128'])} "
        f"| {figures['parameters']:,} "
        f"| {figures.get('batch', BATCH)} of {'x'.join(map(str, figures['patch']))} "
        f"| {figures['loss_first']:.3f} → {figures['loss_last']:.3f} | {falls} | {figures['bf16']} | {export} "
        f"| {figures['seconds_per_step']:.2f} ({figures['cpu_seconds_per_step']:.2f}) | {figures['peak_gib']:.1f} |"
    )


def _against_mist(name: str, count: int) -> str:
    from tests.runtime.networks.reference import PARAMETERS_OF_MIST

    if name not in PARAMETERS_OF_MIST:
        return "–"
    difference = count - PARAMETERS_OF_MIST[name]
    return "equal" if difference == 0 else f"{difference:+,}"


if __name__ == "__main__":
    print(MARK + json.dumps(_measure_one(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
