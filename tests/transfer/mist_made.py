"""A results folder as mist-medical 2.3.0 leaves it, written by name without MIST."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import DynUNet

PATCH, SPACING = [16, 16, 8], [1.0, 1.0, 3.0]
# of PATCH and SPACING by MIST's rule: the coarse axis waits until the others have caught up with it
KERNELS = [[3, 3, 1], [3, 3, 3], [3, 3, 3]]
STRIDES = [[1, 1, 1], [2, 2, 1], [2, 2, 2]]


def reference_network(channels: int = 2, outputs: int = 3, *, heads: bool = False) -> DynUNet:
    """nnunet-pocket as MIST builds it of MONAI's blocks."""
    return DynUNet(
        3,
        channels,
        outputs,
        kernel_size=KERNELS,
        strides=STRIDES,
        upsample_kernel_size=STRIDES[1:],
        filters=[32] * len(STRIDES),
        norm_name=("INSTANCE", {"affine": True}),
        res_block=True,
        deep_supervision=heads,
        deep_supr_num=1,
        trans_bias=True,
    )


def mist_names(network: DynUNet) -> dict[str, torch.Tensor]:
    """The state dict under the names of MIST's wrapper."""
    weights = {}
    for name, value in network.state_dict().items():
        if name.startswith("skip_layers."):
            continue
        theirs = name.replace("downsamples.", "encoder_layers.").replace("upsamples.", "decoder_layers.")
        weights[f"unet.{theirs}"] = value
    return weights


def config(**sections: Mapping[str, Any]) -> dict[str, Any]:
    """config.json with entries of its sections replaced."""
    content: dict[str, Any] = {
        "mist_version": "2.3.0",
        "dataset_info": {"task": "made", "modality": "mr", "images": ["t1", "flair"], "labels": [0, 1, 4]},
        "spatial_config": {"patch_size": PATCH, "target_spacing": SPACING},
        "preprocessing": {
            "skip": False,
            "crop_to_foreground": False,
            "median_resampled_image_size": [20, 22, 9],
            "normalize_with_nonzero_mask": True,
            "ct_normalization": dict.fromkeys(("window_min", "window_max", "z_score_mean", "z_score_std")),
        },
        "model": {"architecture": "nnunet-pocket", "params": {"in_channels": 2, "out_channels": 3}},
        "training": {"nfolds": 5},
        "inference": {
            "inferer": {"name": "sliding_window", "params": {"patch_blend_mode": "gaussian", "patch_overlap": 0.5}},
            "ensemble": {"strategy": "mean"},
            "tta": {"enabled": True, "strategy": "all_flips"},
        },
        "evaluation": {"whole": {"labels": [1, 4]}, "core": {"labels": [4]}},
    }
    for name, entries in sections.items():
        content[name] = dict(entries) if name == "evaluation" else {**content[name], **entries}
    return content


def write_results(folder: Path, folds: Sequence[int] = (0,), channels: int = 2, **sections: Mapping[str, Any]) -> Path:
    """Write config.json, train_paths.csv and the weights of the folds."""
    (folder / "models").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config(**sections)))
    rows = [f"case_{number},{number % 5},m,a,b" for number in range(10)]
    (folder / "train_paths.csv").write_text("\n".join(["id,fold,mask,t1,flair", *rows]) + "\n")
    for fold in folds:
        torch.manual_seed(fold)
        torch.save(mist_names(reference_network(channels, heads=True)), folder / f"models/fold_{fold}.pt")
    return folder
