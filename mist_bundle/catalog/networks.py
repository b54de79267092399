"""The networks on the menu. `sizing` names the rule of planning/networks.py that computes the remaining arguments.

`takes` lists the options of autoconfig that a network understands, `defaults` the values that are its own: a value
that is not here is the recipe's. Whatever the options, evaluation returns a single tensor of logits (B, C, X, Y, Z).
"""

from __future__ import annotations

from mist_bundle.catalog.choice import Choice

_BRANCHES = frozenset({"deep_supervision_heads", "vae"})
_BLOCKS = _BRANCHES | {"residual"}
_PLAIN = {"residual": False, "deep_supervision_heads": 0}
_DYNUNET = "monai.networks.nets.DynUNet"
_POCKET = "Celaya et al., IEEE TMI 2022, doi:10.1109/TMI.2022.3224873"
_UNET = "Ronneberger et al., MICCAI 2015, arXiv 1505.04597; Cicek et al., MICCAI 2016, arXiv 1606.06650"
_ATTENTION = "Oktay et al., MIDL 2018, arXiv 1804.03999"
_MULTIGRID = "Celaya et al., arXiv 2304.02725"
_SWIN = "Hatamizadeh et al., BrainLes 2021, arXiv 2201.01266; He et al., MICCAI 2023 (version 2)"
_MEDNEXT = "Roy et al., MICCAI 2023, arXiv 2303.09975"


def _swin(size: str, feature_size: int) -> Choice:
    return Choice(
        target="monai.networks.nets.SwinUNETR",
        kwargs={"use_v2": True, "feature_size": feature_size},
        about=f"Swin UNETR {size}: a transformer as encoder, {feature_size} features; patches are multiples of 32.",
        cite=_SWIN,
        needs=frozenset({"einops"}),
        sizing="swin_unetr",
        takes=_BRANCHES,
        defaults={"deep_supervision_heads": 0},
    )


def _mednext(size: str, encoder: list[int], bottleneck: int, blocks: list[int]) -> Choice:
    return Choice(
        target="monai.networks.nets.MedNeXt",
        kwargs={
            "init_filters": 32,
            "encoder_expansion_ratio": encoder,
            "decoder_expansion_ratio": encoder[::-1],
            "bottleneck_expansion_ratio": bottleneck,
            "blocks_down": blocks,
            "blocks_bottleneck": blocks[-1],
            "blocks_up": blocks[::-1],
            "norm_type": "group",
        },
        about=f"MedNeXt {size}: ConvNeXt blocks with depthwise kernels of 3, 5 or 7; patches are multiples of 16.",
        cite=_MEDNEXT,
        sizing="mednext",
        variants={"padded_upsampling": "scripts.networks.mednext.CompleteMedNeXt"},
        takes=_BLOCKS | {"kernel_size"},
        defaults={"residual": True, "deep_supervision_heads": 4},
    )


def _resenc(memory_gb: int) -> Choice:
    return Choice(
        target="scripts.networks.residual_encoder.ResidualEncoderUNet",
        about=f"nnU-Net with a deep residual encoder, patch and batch for {memory_gb} GB of GPU memory.",
        cite="Isensee et al., MICCAI 2024, arXiv 2404.09556 (nnU-Net Revisited)",
        sizing="residual_encoder",
        takes=_BLOCKS,
        defaults={"residual": True},
        memory_gb=memory_gb,
    )


NETWORKS: dict[str, Choice] = {
    "nnunet": Choice(
        target=_DYNUNET,
        kwargs={"trans_bias": True},
        about="nnU-Net: depth, kernels and strides follow patch and spacing; 32 to 320 filters, residual blocks.",
        cite="Isensee et al., Nature Methods 2021, doi:10.1038/s41592-020-01008-z",
        sizing="dynamic_unet",
        takes=_BLOCKS,
    ),
    "nnunet-pocket": Choice(
        target=_DYNUNET,
        kwargs={"trans_bias": True},
        about="Pocket nnU-Net: the same topology with 32 filters at every level, about forty times fewer parameters.",
        cite=_POCKET,
        sizing="pocket_unet",
        takes=_BLOCKS,
    ),
    "unet": Choice(
        target=_DYNUNET,
        kwargs={"trans_bias": True},
        about="Plain U-Net: nnU-Net's topology and filters, plain blocks, a single output.",
        cite=_UNET,
        sizing="dynamic_unet",
        takes=_BLOCKS,
        defaults=_PLAIN,
    ),
    "nnunet-v2": Choice(
        target="scripts.networks.dynunet.MatchedDynUNet",
        kwargs={"trans_bias": True},
        about="nnU-Net's plain U-Net as version 2 builds it: the decoder has the kernels of its own levels.",
        cite="Isensee et al., Nature Methods 2021, doi:10.1038/s41592-020-01008-z",
        sizing="dynamic_unet",
        takes=_BLOCKS,
        defaults={"residual": False},
    ),
    "unet-pocket": Choice(
        target=_DYNUNET,
        kwargs={"trans_bias": True},
        about="Pocket U-Net: the plain U-Net with the same width at every level.",
        cite=f"{_UNET}; {_POCKET}",
        sizing="pocket_unet",
        takes=_BLOCKS,
        defaults=_PLAIN,
    ),
    "nnunet-subpixel": Choice(
        target="scripts.networks.subpixel.SubpixelUNet",
        kwargs={"trans_bias": True},
        about="nnU-Net on blocks of 2 x 2 x 2 voxels: full-resolution output at half-resolution cost, for CPUs.",
        cite="Shi et al., CVPR 2016, arXiv 1609.05158 (sub-pixel convolution)",
        sizing="subpixel_unet",
        takes=frozenset({"residual", "deep_supervision_heads"}),
        defaults=_PLAIN,
    ),
    "nnunet-subpixel-pocket": Choice(
        target="scripts.networks.subpixel.SubpixelUNet",
        kwargs={"trans_bias": True},
        about="The same with equal width at every level: a quarter of the weights, in under a megabyte.",
        cite=f"{_POCKET}; Shi et al., CVPR 2016, arXiv 1609.05158 (sub-pixel convolution)",
        sizing="pocket_subpixel_unet",
        takes=frozenset({"residual", "deep_supervision_heads"}),
        defaults=_PLAIN,
    ),
    "resenc-m": _resenc(8),
    "resenc-l": _resenc(24),
    "resenc-xl": _resenc(40),
    "attention-unet": Choice(
        target="monai.networks.nets.AttentionUnet",
        about="Attention U-Net: gates on the skip connections, batch normalisation; nnU-Net's strides and filters.",
        cite=_ATTENTION,
        sizing="attention_unet",
        takes=_BRANCHES,
        defaults={"deep_supervision_heads": 0},
    ),
    "attention-unet-pocket": Choice(
        target="monai.networks.nets.AttentionUnet",
        about="Pocket attention U-Net: the same with equal width at every level.",
        cite=f"{_ATTENTION}; {_POCKET}",
        sizing="pocket_attention_unet",
        takes=_BRANCHES,
        defaults={"deep_supervision_heads": 0},
    ),
    "swinunetr-small": _swin("small", 24),
    "swinunetr-base": _swin("base", 48),
    "swinunetr-large": _swin("large", 96),
    "mednext-small": _mednext("small", [2, 2, 2, 2], 2, [2, 2, 2, 2]),
    "mednext-base": _mednext("base", [2, 3, 4, 4], 4, [2, 2, 2, 2]),
    "mednext-medium": _mednext("medium", [2, 3, 4, 4], 4, [3, 4, 4, 4]),
    "mednext-large": _mednext("large", [3, 4, 8, 8], 8, [3, 4, 8, 8]),
    "fmgnet": Choice(
        target="scripts.networks.multigrid.MultigridNet",
        about="FMG-Net: climbs from the bottleneck to 1, 2, 3 … levels, as a full multigrid cycle; equal width.",
        cite=_MULTIGRID,
        sizing="fmgnet",
        takes=_BLOCKS,
        defaults={"residual": True},
    ),
    "wnet": Choice(
        target="scripts.networks.multigrid.MultigridNet",
        about="W-Net: climbs to 1, 2, 1, 3, 1 … levels and back, as multigrid W-cycles; equal width.",
        cite=_MULTIGRID,
        sizing="wnet",
        takes=_BLOCKS,
        defaults={"residual": True},
    ),
    "segresnet": Choice(
        target="monai.networks.nets.SegResNet",
        kwargs={"init_filters": 32, "blocks_down": [1, 2, 2, 4], "blocks_up": [1, 1, 1]},
        about="SegResNet: asymmetric residual encoder-decoder with group normalisation; patches are multiples of 8.",
        cite="Myronenko, BrainLes 2018, arXiv 1810.11654",
        sizing="segresnet",
        takes=_BRANCHES,
        defaults={"deep_supervision_heads": 0},
    ),
}
