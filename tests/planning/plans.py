"""A plan for tests of what comes after planning, made by the rules from a few invented cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.plan import Plan, make_plan


def small_plan(
    channels: Sequence[str] = ("t1",),
    classes: Sequence[str] = ("background", "organ"),
    modality: str = "mr",
    **options: Any,
) -> Plan:
    """The plan of two cases of 32 x 32 x 32 voxels of 1 mm."""
    labels = tuple(range(len(classes)))
    spec: Any = SimpleNamespace(
        task="test",
        modality=modality,
        channel_names=tuple(channels),
        num_channels=len(channels),
        num_classes=len(classes),
        labels=labels,
        ignore_label=None,
        label_names=dict(enumerate(classes)),
        final_classes={name: (label,) for label, name in enumerate(classes) if label},
        train_dir=Path(),
    )
    case = SimpleNamespace(
        id="case",
        shape=(32, 32, 32),
        cropped_shape=(32, 32, 32),
        spacing_mm=(1.0, 1.0, 1.0),
        crop_reduction=0.0,
        nonzero_fraction=[1.0] * len(channels),
        channels=[SimpleNamespace(low=-10.0, high=10.0)] * len(channels),
    )
    fingerprint: Any = SimpleNamespace(
        cases=[case, case],
        typical_cases=[case, case],
        class_voxels={label: 100 for label in labels},
        intensity_properties=lambda channel: {"low": -10.0, "high": 10.0 + channel, "mean": 0.0, "std": 2.0},
    )
    return make_plan(spec, fingerprint, PlanOptions(**{"folds": 2, "recipe": "quick", **options}))
