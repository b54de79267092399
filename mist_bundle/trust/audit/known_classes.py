"""MONAI's classes that a bundle may name beside those of the catalogue: networks, losses, metrics and optimizers of
segmentation that compute and do nothing else.

A list and not a rule: MONAI also has networks that download weights by default, losses that fetch
another repository's code, and a merger that imports its argument. A test holds each of these against the installed
MONAI: it is a class, and none of its parameters makes it fetch, import or open anything.
"""

from __future__ import annotations

from collections.abc import Iterator

_CLASSES = {
    "monai.networks.nets": """
        AHNet AttentionUnet AutoEncoder AutoencoderKL BasicUNet BasicUNetPlusPlus DenseNet121 DenseNet169 DenseNet201
        DenseNet264 DynUNet FlexibleUNet HighResNet MedNeXt SegResNet
        SegResNetDS SegResNetDS2 SegResNetVAE SwinUNETR UNETR UNet VNet VarAutoEncoder ViT ViTAutoEnc
    """,
    "monai.losses": """
        AUCMLoss AsymmetricUnifiedFocalLoss BoundaryLoss DiceCELoss DiceFocalLoss DiceLoss FocalLoss
        GeneralizedDiceFocalLoss GeneralizedDiceLoss GeneralizedWassersteinDiceLoss HausdorffDTLoss LogHausdorffDTLoss
        MCCLoss MaskedDiceLoss NACLLoss SoftDiceclDiceLoss SoftclDiceLoss TverskyLoss
    """,
    "monai.metrics": """
        ConfusionMatrixMetric DiceMetric GeneralizedDiceScore HausdorffDistanceMetric MeanIoU SurfaceDiceMetric
        SurfaceDistanceMetric
    """,
    "monai.optimizers": "ExponentialLR LinearLR Novograd WarmupCosineSchedule",
}


def _full_names() -> Iterator[str]:
    for module, names in _CLASSES.items():
        for name in names.split():
            yield f"{module}.{name}"


KNOWN_CLASSES = frozenset(_full_names())
