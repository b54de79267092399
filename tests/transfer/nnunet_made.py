"""A results folder as nnU-Net v2 leaves it, written by name without nnU-Net, and its networks in plain torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from mist_bundle.errors import InputError
from mist_bundle.transfer.nnunet_results import read_results

PLAIN, RESIDUAL = "PlainConvUNet", "ResidualEncoderUNet"
# axes of nnU-Net's arrays: a coarse axis first, fine axes after it
KERNELS = [[1, 3, 3], [3, 3, 3], [3, 3, 3]]
STRIDES = [[1, 1, 1], [1, 2, 2], [2, 2, 2]]
FILTERS = [4, 6, 8]
BLOCKS = [1, 2, 2]
Tensors = dict[str, torch.Tensor]


def write_results(
    folder: Path,
    *,
    architecture: str = PLAIN,
    folds: Sequence[str] = ("0",),
    labels: Mapping[str, Any] | None = None,
    regions_class_order: Sequence[int] | None = None,
    channels: int = 2,
    plans: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    mirror_axes: Sequence[int] | None = (0, 1, 2),
) -> Path:
    """Write plans.json, dataset.json and a checkpoint for each fold; the coarse axis is x of the files.

    Args:
        folder: to create.
        architecture: PLAIN or RESIDUAL.
        folds: numbers, or "all".
        labels: of dataset.json.
        regions_class_order: of dataset.json.
        channels: image channels.
        plans: entries of plans.json to replace.
        settings: entries of the configuration to replace.
        mirror_axes: that the checkpoint allows.
    """
    labels = {"background": 0, "organ": 1, "tumour": 2} if labels is None else labels
    outputs = len(regions_class_order) if regions_class_order else len([name for name in labels if name != "ignore"])
    dataset: dict[str, Any] = {"channel_names": {}, "labels": dict(labels), "numTraining": 5, "file_ending": ".nii.gz"}
    for channel in range(channels):
        dataset["channel_names"][str(channel)] = ("T1", "FLAIR", "T2")[channel]
    if regions_class_order:
        dataset["regions_class_order"] = list(regions_class_order)
    written = _plans(architecture, channels, dict(plans or {}), dict(settings or {}))
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(written))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    for fold in folds:
        torch.manual_seed(sum(map(ord, fold)))
        make = plain_weights if architecture == PLAIN else residual_weights
        write_checkpoint(folder / f"fold_{fold}", stored(make(channels, outputs)), mirror_axes)
    return folder


def write_checkpoint(fold: Path, weights: Mapping[str, Any], mirror_axes: Sequence[int] | None, **more: Any) -> Path:
    """Write checkpoint_final.pth with all that nnunetv2 2.8 puts into it."""
    fold.mkdir(exist_ok=True)
    content = {
        "network_weights": weights,
        "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01}]},
        "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float32(0.5), np.float64(0.75)], "lrs": [0.01]},
        "_best_ema": np.float64(0.7),
        "current_epoch": 1000,
        "init_args": {"configuration": "3d_fullres", "fold": 0, "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": None if mirror_axes is None else tuple(mirror_axes),
        **more,
    }
    torch.save(content, fold / "checkpoint_final.pth")
    return fold / "checkpoint_final.pth"


def _plans(architecture: str, channels: int, plans: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    convolutions: dict[str, Any] = {"n_conv_per_stage": [2, 2, 2], "n_conv_per_stage_decoder": [2, 2]}
    if architecture == RESIDUAL:
        convolutions = {"n_blocks_per_stage": BLOCKS, "n_conv_per_stage_decoder": [1, 1]}
    configuration = {
        "batch_size": 2,
        "patch_size": [8, 16, 16],
        "median_image_size_in_voxels": [9.0, 18.0, 17.0],
        "spacing": [3.0, 1.0, 1.5],
        "normalization_schemes": ["ZScoreNormalization"] * channels,
        "use_mask_for_norm": [True, False, False][:channels],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
        "architecture": {
            "network_class_name": f"dynamic_network_architectures.architectures.unet.{architecture}",
            "arch_kwargs": {
                "n_stages": 3,
                "features_per_stage": FILTERS,
                "conv_op": "torch.nn.modules.conv.Conv3d",
                "kernel_sizes": KERNELS,
                "strides": STRIDES,
                **convolutions,
                "conv_bias": True,
                "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
        },
        **settings,
    }
    return {
        "dataset_name": "Dataset042_Made",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [2, 0, 1],
        "transpose_backward": [1, 2, 0],
        "configurations": {
            "2d": {"patch_size": [16, 16]},
            "3d_fullres": configuration,
            "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
        },
        **plans,
    }


def plain_weights(channels: int, outputs: int) -> Tensors:
    """Random weights of PlainConvUNet, each tensor once."""
    weights: Tensors = {}
    width = channels
    for level, filters in enumerate(FILTERS):
        for number in range(2):
            _layer(weights, f"encoder.stages.{level}.0.convs.{number}", width, filters, KERNELS[level])
            width = filters
    for step in range(len(FILTERS) - 1):
        level = len(FILTERS) - 2 - step
        _up(weights, step, level)
        for number in range(2):
            inputs = FILTERS[level] * (2 if number == 0 else 1)
            _layer(weights, f"decoder.stages.{step}.convs.{number}", inputs, FILTERS[level], KERNELS[level])
        _output(weights, step, level, outputs)
    return weights


def residual_weights(channels: int, outputs: int) -> Tensors:
    """The same of ResidualEncoderUNet."""
    weights: Tensors = {}
    _layer(weights, "encoder.stem.convs.0", channels, FILTERS[0], KERNELS[0])
    width = FILTERS[0]
    for level, filters in enumerate(FILTERS):
        for block in range(BLOCKS[level]):
            name = f"encoder.stages.{level}.blocks.{block}"
            _layer(weights, f"{name}.conv1", width, filters, KERNELS[level])
            _layer(weights, f"{name}.conv2", filters, filters, KERNELS[level])
            if width != filters:
                place = 1 if STRIDES[level] != [1, 1, 1] else 0
                _layer(weights, f"{name}.skip.{place}", width, filters, [1, 1, 1], bias=False)
            width = filters
    for step in range(len(FILTERS) - 1):
        level = len(FILTERS) - 2 - step
        _up(weights, step, level)
        _layer(weights, f"decoder.stages.{step}.convs.0", 2 * FILTERS[level], FILTERS[level], KERNELS[level])
        _output(weights, step, level, outputs)
    return weights


def stored(weights: Tensors) -> Tensors:
    """The state dict as nnU-Net saves it: each layer again in `all_modules`, and the encoder again in the decoder."""
    written: Tensors = {}
    for name, value in weights.items():
        written[name] = value
        for kind, number in ((".conv.", 0), (".norm.", 1)):
            if kind in name:
                written[name.replace(kind, f".all_modules.{number}.")] = value
    for name in list(written):
        if name.startswith("encoder."):
            written[f"decoder.{name}"] = written[name]
    return written


def plain_logits(weights: Tensors, image: torch.Tensor) -> torch.Tensor:
    """Forward pass of PlainConvUNet, axes of nnU-Net's arrays."""
    skips = []
    features = image
    for level in range(len(FILTERS)):
        for number in range(2):
            stride = STRIDES[level] if number == 0 else [1, 1, 1]
            features = _apply(weights, f"encoder.stages.{level}.0.convs.{number}", features, stride)
        skips.append(features)
    return _decoded(weights, skips, convolutions=2)


def residual_logits(weights: Tensors, image: torch.Tensor) -> torch.Tensor:
    """Forward pass of ResidualEncoderUNet."""
    features = _apply(weights, "encoder.stem.convs.0", image, [1, 1, 1])
    skips = []
    for level in range(len(FILTERS)):
        for block in range(BLOCKS[level]):
            name = f"encoder.stages.{level}.blocks.{block}"
            stride = STRIDES[level] if block == 0 else [1, 1, 1]
            inner = _apply(weights, f"{name}.conv1", features, stride)
            inner = _apply(weights, f"{name}.conv2", inner, [1, 1, 1], activate=False)
            shortcut = features
            if stride != [1, 1, 1]:
                shortcut = functional.avg_pool3d(shortcut, stride, stride)
            for place in range(2):
                if f"{name}.skip.{place}.conv.weight" in weights:
                    shortcut = _apply(weights, f"{name}.skip.{place}", shortcut, [1, 1, 1], activate=False)
            features = functional.leaky_relu(inner + shortcut, 0.01)
        skips.append(features)
    return _decoded(weights, skips, convolutions=1)


def _decoded(weights: Tensors, skips: list[torch.Tensor], convolutions: int) -> torch.Tensor:
    features = skips[-1]
    steps = len(FILTERS) - 1
    for step in range(steps):
        level = steps - 1 - step
        name = f"decoder.transpconvs.{step}"
        stride = STRIDES[level + 1]
        features = functional.conv_transpose3d(features, weights[f"{name}.weight"], weights[f"{name}.bias"], stride)
        features = torch.cat([features, skips[level]], 1)
        for number in range(convolutions):
            features = _apply(weights, f"decoder.stages.{step}.convs.{number}", features, [1, 1, 1])
    name = f"decoder.seg_layers.{steps - 1}"
    return functional.conv3d(features, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _apply(
    weights: Tensors, name: str, features: torch.Tensor, stride: Sequence[int], *, activate: bool = True
) -> torch.Tensor:
    kernel = weights[f"{name}.conv.weight"]
    padding = [(size - 1) // 2 for size in kernel.shape[2:]]
    features = functional.conv3d(features, kernel, weights.get(f"{name}.conv.bias"), list(stride), padding)
    scale, shift = weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"]
    features = functional.instance_norm(features, weight=scale, bias=shift, eps=1e-5)
    return functional.leaky_relu(features, 0.01) if activate else features


def _layer(weights: Tensors, name: str, inputs: int, outputs: int, kernel: Sequence[int], *, bias: bool = True) -> None:
    weights[f"{name}.conv.weight"] = torch.randn(outputs, inputs, *kernel) / (inputs * float(np.prod(kernel))) ** 0.5
    if bias:
        weights[f"{name}.conv.bias"] = torch.randn(outputs)
    weights[f"{name}.norm.weight"] = 1 + torch.randn(outputs) / 4
    weights[f"{name}.norm.bias"] = torch.randn(outputs) / 4


def _up(weights: Tensors, step: int, level: int) -> None:
    shape = (FILTERS[level + 1], FILTERS[level], *STRIDES[level + 1])
    weights[f"decoder.transpconvs.{step}.weight"] = torch.randn(shape) / FILTERS[level + 1] ** 0.5
    weights[f"decoder.transpconvs.{step}.bias"] = torch.randn(FILTERS[level])


def _output(weights: Tensors, step: int, level: int, outputs: int) -> None:
    weights[f"decoder.seg_layers.{step}.weight"] = torch.randn(outputs, FILTERS[level], 1, 1, 1)
    weights[f"decoder.seg_layers.{step}.bias"] = torch.randn(outputs) / 4


def change_configuration(
    folder: Path, change: Callable[[dict[str, Any]], None], configuration: str = "3d_fullres"
) -> None:
    """Change a configuration of plans.json."""
    content = json.loads((folder / "plans.json").read_text())
    change(content["configurations"][configuration])
    (folder / "plans.json").write_text(json.dumps(content))


def messages(folder: Path) -> list[str]:
    """The problems for which a results folder is refused."""
    with pytest.raises(InputError) as refused:
        read_results(folder)
    return list(map(str, refused.value.problems))
