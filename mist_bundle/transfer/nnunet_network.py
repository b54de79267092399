"""Which of nnU-Net's networks can be built here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PLAIN, RESIDUAL = "PlainConvUNet", "ResidualEncoderUNet"
_FEWEST_LEVELS = 3  # of MONAI's DynUNet


def unusual(name: str, arguments: Mapping[str, Any]) -> list[str]:
    """List what keeps a network of nnU-Net from being built here, each as the end of a sentence about it."""
    kernels, strides = arguments.get("kernel_sizes") or [], arguments.get("strides") or []
    features, levels = arguments.get("features_per_stage"), arguments.get("n_stages")
    if not isinstance(features, (list, tuple)) or not len(kernels) == len(strides) == len(features) == levels:
        return ["must list kernel_sizes, strides and features_per_stage for each of its n_stages."]
    found = [] if levels >= _FEWEST_LEVELS else [f"has {levels} stages; expected {_FEWEST_LEVELS} or more."]
    for step in strides:
        if not set(step) <= {1, 2}:
            found.append(f"has the stride {list(step)}; expected 1 and 2.")
    for kernel in kernels:
        if any(size % 2 == 0 for size in kernel):
            found.append(f"has the kernel {list(kernel)}; expected odd sizes.")
    found += _other_convolutions(name, arguments)
    for key, usual in _USUAL.items():
        value = arguments.get(key, usual[0])
        if value not in usual:
            found.append(f"has {key} {value!r}; expected {usual[0]!r}.")
    return found


def _other_convolutions(name: str, arguments: Mapping[str, Any]) -> list[str]:
    """Numbers of convolutions in a stage that no network here has."""
    expected = {PLAIN: 2, RESIDUAL: 1}.get(name)
    keys = ["n_conv_per_stage_decoder"] if name == RESIDUAL else ["n_conv_per_stage", "n_conv_per_stage_decoder"]
    found = []
    blocks = arguments.get("n_blocks_per_stage")
    if name == RESIDUAL and (not isinstance(blocks, (list, tuple)) or len(blocks) != arguments["n_stages"]):
        found.append(f"has n_blocks_per_stage {blocks!r}; expected a number for each stage.")
    for key in keys:
        counts = arguments.get(key)
        counts = counts if isinstance(counts, (list, tuple)) else [counts]
        if set(counts) != {expected}:
            found.append(f"has {key} {list(counts)}; expected {expected} at every level.")
    return found


# arguments that change what a network computes, with the values that networks here compute
_USUAL: dict[str, tuple[Any, ...]] = {
    "conv_op": ("torch.nn.modules.conv.Conv3d", "torch.nn.Conv3d"),
    "norm_op": ("torch.nn.modules.instancenorm.InstanceNorm3d", "torch.nn.InstanceNorm3d"),
    "norm_op_kwargs": ({"eps": 1e-05, "affine": True},),
    "dropout_op": (None,),
    "nonlin": ("torch.nn.LeakyReLU", "torch.nn.modules.activation.LeakyReLU"),
    "nonlin_kwargs": ({"inplace": True}, {"inplace": True, "negative_slope": 0.01}, None),
    "nonlin_first": (False,),
    "conv_bias": (True,),
    "squeeze_excitation": (False,),
    "stochastic_depth_p": (0.0,),
    "bottleneck_channels": (None,),
}
