"""Run where nnunetv2 is installed: what its residual-encoder presets decide for invented data sets.

Usage: nnunet_planner.py REQUESTS.json ANSWERS.json; a request has median_shape, spacing_mm (X, Y, Z), memory_gb and
num_cases, an answer patch_size, batch_size, strides and kernels (X, Y, Z).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

NAME = "Dataset001_invented"
DATASET = {"channel_names": {"0": "t1"}, "labels": {"background": 0, "a": 1, "b": 2}, "file_ending": ".nii.gz"}


def main() -> None:
    requests, answers = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            os.environ[variable] = f"{folder}/{variable}"
        raw, preprocessed = Path(folder, "nnUNet_raw", NAME), Path(folder, "nnUNet_preprocessed", NAME)
        (raw / "imagesTr").mkdir(parents=True)
        (raw / "labelsTr").mkdir()
        preprocessed.mkdir(parents=True)
        fingerprint = {"median_relative_size_after_cropping": 1}
        (raw / "dataset.json").write_text(json.dumps({**DATASET, "numTraining": 0}))
        (preprocessed / "dataset_fingerprint.json").write_text(json.dumps(fingerprint))
        decided = [answer(request) for request in json.loads(requests.read_text())]
    answers.write_text(json.dumps(decided))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What the preset's own planner decides, with axes as in the request."""
    from nnunetv2.experiment_planning.experiment_planners.residual_unets import (
        residual_encoder_unet_planners as presets,
    )

    planners = {8: presets.nnUNetPlannerResEncM, 24: presets.nnUNetPlannerResEncL, 40: presets.nnUNetPlannerResEncXL}
    coarsest_first = order(request["spacing_mm"])
    shape = np.array([request["median_shape"][axis] for axis in coarsest_first])
    spacing = np.array([request["spacing_mm"][axis] for axis in coarsest_first])
    voxels = float(np.prod(shape)) * request["num_cases"]
    planner = planners[request["memory_gb"]](NAME)
    plan = planner.get_plans_for_configuration(spacing, shape, "", voxels, {})
    network = plan["architecture"]["arch_kwargs"]

    def as_xyz(values: Any) -> list[int]:
        return [int(values[coarsest_first.index(axis)]) for axis in range(3)]

    return {
        "patch_size": as_xyz(plan["patch_size"]),
        "batch_size": int(plan["batch_size"]),
        "strides": [as_xyz(stride) for stride in network["strides"]],
        "kernels": [as_xyz(kernel) for kernel in network["kernel_sizes"]],
    }


def order(spacing_mm: list[float]) -> list[int]:
    """Axes as nnU-Net has them: read as Z, Y, X, then the first of the coarsest axes in front."""
    read = [2, 1, 0]
    coarsest = read[int(np.argmax([spacing_mm[axis] for axis in read]))]
    return [coarsest] + [axis for axis in read if axis != coarsest]


if __name__ == "__main__":
    main()
