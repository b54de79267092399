"""Plans and networks for tests, decided by the rules from a few invented cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mist_bundle.catalog.choice import Choice
from mist_bundle.planning.network_size import NetworkSize, SizeRequest
from mist_bundle.planning.networks import size_network
from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.plan import Plan, make_plan

SMALL_DATASET_OPTIONS = PlanOptions(recipe="quick", folds=2, patch_size=(8, 8, 8))


def small_plan(
    channels: Sequence[str] = ("t1",),
    classes: Sequence[str] = ("background", "organ"),
    modality: str = "mr",
    shape: tuple[int, int, int] = (32, 32, 32),
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    **options: Any,
) -> Plan:
    """The plan of two cases, of 32 x 32 x 32 voxels of 1 mm unless other sizes are given."""
    labels = tuple(range(len(classes)))
    spec: Any = SimpleNamespace(
        optional_images=(),
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
        shape=shape,
        cropped_shape=shape,
        spacing_mm=spacing_mm,
        crop_reduction=0.0,
        nonzero_fraction=[1.0] * len(channels),
        channels=[SimpleNamespace(low=-10.0, high=10.0)] * len(channels),
        unlabelled=(),
    )
    cases = [case, SimpleNamespace(**{**vars(case), "id": "other_case"})]
    fingerprint: Any = SimpleNamespace(
        cases=cases,
        typical_cases=cases,
        class_voxels={label: 100 for label in labels},
        sides=lambda *_: [],
        intensity_properties=lambda channel: {"low": -10.0, "high": 10.0 + channel, "mean": 0.0, "std": 2.0},
    )
    return make_plan(spec, fingerprint, PlanOptions(**{"folds": 2, "recipe": "quick", **options}))


def sized(
    row: Choice, patch: tuple[int, int, int], spacing: Sequence[float] = (1, 1, 1), heads: int = 0
) -> NetworkSize:
    """Apply the sizing rule of a row with two classes and widths of 4 and 8."""
    request = SizeRequest(
        patch_size=patch,
        spacing_mm=spacing,
        in_channels=1,
        out_channels=2,
        filters=(4, 8),
        residual=True,
        kernel_size=3,
        heads=heads,
    )
    return size_network(row, request)
