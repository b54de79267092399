"""The table of losses: gradients, fall towards the truth, and distance from an independent computation of each.

The problems and the second implementation (numpy and scipy) are those of the tests; everything is in float64.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs/menu_losses.json"
QUALITIES = (0.0, 0.3, 0.6, 1.0)
GRADIENT_PART = (slice(0, 1), slice(None), slice(3, 8), slice(3, 8), slice(2, 6))
STEP = 1e-6
GRADIENT_BOUND = 1e-4  # of the largest component
VALUE_BOUND = 1e-6  # relative


def measure(names: Sequence[str], options: argparse.Namespace) -> None:
    """Measure losses, all if none is named."""
    import torch

    from mist_bundle.catalog.losses import LOSSES
    from mist_bundle.files import write_json

    del options
    torch.set_num_threads(1)  # the problems are too small to share out
    figures: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {}
    for name in names or LOSSES:
        figures[name] = {"classes": _measure_one(name, regions=False), "regions": _measure_one(name, regions=True)}
        figures[name]["mist"] = _against_mist(name)
        print(name, figures[name], flush=True)
        write_json(FIGURES, {key: figures[key] for key in LOSSES if key in figures})


def _measure_one(name: str, *, regions: bool) -> dict[str, Any]:
    from tests.runtime.losses import reference, samples

    members = samples.REGIONS if regions else None
    channels = {"regions": members} if regions else {}
    loss = samples.build(name, **channels)
    label, _ = samples.label_and_logits()
    target = samples.target_of(label, members)
    values = [
        float(samples.value_of(loss, samples.scores_near(label, quality, members), target)) for quality in QUALITIES
    ]
    _, logits = samples.label_and_logits(len(members) if members else 3)
    value = float(samples.value_of(loss, logits, target))
    other = _by_numpy(name, reference.Problem(label, logits, target["dtm"], members))
    return {
        "values": [float(f"{one:.6g}") for one in values],
        "gradient_error": _gradient_error(loss, logits, target),
        "reference_error": abs(value - other) / abs(other),
    }


def _by_numpy(name: str, problem: Any) -> float:
    """The whole loss of the menu: a composite is half its base, half its own term."""
    from mist_bundle.catalog.losses import LOSSES
    from tests.runtime.losses import reference

    base = LOSSES[name].base
    term: float = reference.expected("volumetric_sddl" if name == "vessel_sddl" else name, problem, None)
    return 0.5 * (_by_numpy(base, problem) + term) if base else term


def _gradient_error(loss: Any, logits: Any, target: dict[str, Any]) -> float:
    """Largest difference between a component of the gradient and its central difference, over the largest component."""
    import torch

    from tests.runtime.losses import samples

    part = {key: value[GRADIENT_PART] for key, value in target.items()}
    inputs = logits[GRADIENT_PART].clone().requires_grad_()
    samples.value_of(loss, inputs, part).backward()
    gradient = inputs.grad.flatten()
    numeric = torch.empty_like(gradient)
    with torch.no_grad():
        flat = inputs.detach().clone().flatten()
        for index in range(len(flat)):
            sides = []
            for sign in (1, -1):
                moved = flat.clone()
                moved[index] += sign * STEP
                sides.append(float(samples.value_of(loss, moved.reshape(inputs.shape), part)))
            numeric[index] = (sides[0] - sides[1]) / (2 * STEP)
    return float((gradient - numeric).abs().max() / gradient.abs().max())


def _against_mist(name: str) -> float | None:
    """Relative distance from what mist-medical 2.3.0's own code gave; None where it has no such loss."""
    from tests.runtime.losses import reference, samples

    if name not in reference.MIST:
        return None
    label, logits = samples.label_and_logits()
    value = float(samples.value_of(samples.build(name, 0.5), logits, samples.target_of(label)))
    return abs(value - reference.MIST[name][0]) / abs(reference.MIST[name][0])


def section() -> str:
    """The table as Markdown."""
    from mist_bundle.catalog.losses import LOSSES

    figures: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {}
    rows = [_row(name, figures[name]) if name in figures else f"| {name} | not measured | | | | |" for name in LOSSES]
    return f"""## Losses

As a bundle builds them, composites with both terms at one half; two samples of 12x10x8 voxels, in float64; first figure
for three classes that exclude each other (softmax), second for two regions of which one holds the other (sigmoid).

- *gradient*: every component over 5x5x4 voxels against its central difference; the largest difference, over the largest
  component. Held: below {GRADIENT_BOUND:.0e}.
- *falls*: the loss of scores that go from waves that have nothing to do with the truth to certainty about it.
- *own reference*: relative distance from the same loss written a second time in numpy and scipy
  (`tests/runtime/losses/reference.py`). Held: below {VALUE_BOUND:.0e}.
- *MIST 2.3.0*: relative distance from what its own code gives for the same input; – where it has no such loss. (Voxels
  are 1.5 x 1.5 x 3 mm. Its surface-dilation losses swap X and Y, which shows where those two differ; here they do not.)

| loss | gradient | falls (classes) | falls (regions) | own reference | MIST 2.3.0 |
|---|---|---|---|---|---|
{chr(10).join(rows)}
"""


def _row(name: str, figures: dict[str, Any]) -> str:
    both = [figures["classes"], figures["regions"]]
    gradient = ", ".join(f"{one['gradient_error']:.0e}" for one in both)
    gradient = _marked(gradient, all(one["gradient_error"] < GRADIENT_BOUND for one in both))
    falls = [_falling(one["values"]) for one in both]
    own = ", ".join(f"{one['reference_error']:.0e}" for one in both)
    own = _marked(own, all(one["reference_error"] < VALUE_BOUND for one in both))
    mist = "–" if figures["mist"] is None else _marked(f"{figures['mist']:.0e}", figures["mist"] < VALUE_BOUND)
    return f"| {name} | {gradient} | {falls[0]} | {falls[1]} | {own} | {mist} |"


def _falling(values: Sequence[float]) -> str:
    holds = all(one > other for one, other in pairwise(values))
    return _marked(" → ".join(f"{value:.2g}" for value in values), holds)


def _marked(text: str, holds: bool) -> str:
    return f"yes: {text}" if holds else f"**no**: {text}"
