"""Run where nnunetv2 is installed: what its ResEncUNetPlanner decides for invented datasets.

Usage: nnunet_planner.py REQUESTS.json ANSWERS.json; a request has median_shape, spacing_mm (X, Y, Z), memory_gb and
num_cases, an answer patch_size, batch_size, strides and kernels (X, Y, Z).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.experiment_planning.experiment_planners.residual_unets.residual_encoder_unet_planners import (
    ResEncUNetPlanner,
)


class Planner(ResEncUNetPlanner):
    """The planner with the values of its constructors, which read a dataset from disk."""

    def __init__(self, memory_gb: int) -> None:
        from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

        self.dataset_json = {"channel_names": {"0": "t1"}, "labels": {"background": 0, "a": 1, "b": 2}}
        self.dataset_fingerprint = {"median_relative_size_after_cropping": 1}
        self.preprocessor_name = "DefaultPreprocessor"
        self.UNet_class = ResidualEncoderUNet
        self.UNet_base_num_features = 32
        self.UNet_max_features_3d = 320
        self.UNet_reference_val_3d = 680000000
        self.UNet_reference_val_corresp_GB = 8
        self.UNet_reference_val_corresp_bs_3d = 2
        self.UNet_featuremap_min_edge_length = 4
        self.UNet_min_batch_size = 2
        self.UNet_blocks_per_stage_encoder = (1, 3, 4, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6)
        self.UNet_blocks_per_stage_decoder = (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
        self.UNet_vram_target_GB = memory_gb
        self.max_dataset_covered = 0.05

    def determine_normalization_scheme_and_whether_mask_is_used_for_norm(self) -> tuple[list[str], list[bool]]:
        return [], []


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What the planner decides, with axes as in the request."""
    coarsest_first = _order(request["spacing_mm"])
    shape = np.array([request["median_shape"][axis] for axis in coarsest_first])
    spacing = np.array([request["spacing_mm"][axis] for axis in coarsest_first])
    voxels = float(np.prod(shape)) * request["num_cases"]
    plan = Planner(request["memory_gb"]).get_plans_for_configuration(spacing, shape, "", voxels, {})
    network = plan["architecture"]["arch_kwargs"]

    def as_xyz(values: Any) -> list[int]:
        return [int(values[coarsest_first.index(axis)]) for axis in range(3)]

    return {
        "patch_size": as_xyz(plan["patch_size"]),
        "batch_size": int(plan["batch_size"]),
        "strides": [as_xyz(stride) for stride in network["strides"]],
        "kernels": [as_xyz(kernel) for kernel in network["kernel_sizes"]],
    }


def _order(spacing_mm: list[float]) -> list[int]:
    """Axes as nnU-Net has them: read as Z, Y, X, then the first of the coarsest axes in front."""
    read = [2, 1, 0]
    coarsest = read[int(np.argmax([spacing_mm[axis] for axis in read]))]
    return [coarsest] + [axis for axis in read if axis != coarsest]


if __name__ == "__main__":
    requests, answers = map(Path, sys.argv[1:])
    answers.write_text(json.dumps([answer(request) for request in json.loads(requests.read_text())]))
