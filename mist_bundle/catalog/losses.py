"""The losses on the menu. Each takes logits (B, C, X, Y, Z) and class indices (B, 1, X, Y, Z).

A row with a `base` is the extra term of a composite, share * base + (1 - share) * this; --composite_weighting gives
the share.
"""

from __future__ import annotations

from mist_bundle.catalog.choice import Choice

# squared_pred with equal smoothing terms gives sum((y-p)^2) / (sum(y^2) + sum(p^2) + 1e-6), MIST's Dice loss, exactly
_MIST_DICE = {"to_onehot_y": True, "softmax": True, "squared_pred": True, "smooth_nr": 1e-6, "smooth_dr": 1e-6}
_MAPS = frozenset({"distance_maps"})

# how the share of a composite's base develops: always 0.5, or from 1 down to 0 over the run
COMPOSITE_WEIGHTINGS = ("constant", "linear", "cosine")

LOSSES: dict[str, Choice] = {
    "dice_ce": Choice(
        target="monai.losses.DiceCELoss",
        kwargs={**_MIST_DICE, "lambda_dice": 0.5, "lambda_ce": 0.5},
        extended="scripts.losses.dice_cross_entropy.DiceCrossEntropyLoss",
        about="Mean of Dice and cross-entropy (default).",
        cite="Milletari et al., 3DV 2016; Isensee et al., 2021",
    ),
    "dice": Choice(
        target="monai.losses.DiceLoss",
        kwargs=_MIST_DICE,
        extended="scripts.losses.dice.DiceLoss",
        about="Soft Dice over all classes, background included.",
        cite="Milletari et al., 3DV 2016, doi:10.1109/3DV.2016.79",
    ),
    "dice_focal": Choice(
        target="scripts.losses.dice_focal.DiceFocalLoss",
        about="Mean of Dice and focal loss, which fades out voxels that are right already.",
        cite="Lin et al., ICCV 2017, doi:10.1109/ICCV.2017.324",
    ),
    "generalized_dice": Choice(
        target="monai.losses.GeneralizedDiceLoss",
        kwargs={"to_onehot_y": True, "softmax": True},
        extended="scripts.losses.generalized_dice.GeneralizedDiceLoss",
        about="Generalized Dice: classes weighted by the inverse square of their volume.",
        cite="Sudre et al., DLMIA 2017, doi:10.1007/978-3-319-67558-9_28",
    ),
    "cldice": Choice(
        target="scripts.losses.centerline_dice.CenterlineDiceLoss",
        base="dice_ce",
        about="Dice + CE with clDice, for vessels and other thin structures that must not break.",
        cite="Shit et al., CVPR 2021, doi:10.1109/CVPR46437.2021.01629",
    ),
    "blob": Choice(
        target="scripts.losses.blob.BlobDiceLoss",
        base="dice_ce",
        about="Dice + CE with Dice of each instance by itself, so that small lesions count as much as large ones.",
        cite="Kofler et al., IPMI 2023, doi:10.1007/978-3-031-34048-2_58",
    ),
    "boundary": Choice(
        target="scripts.losses.boundary.BoundaryLoss",
        base="dice_ce",
        needs=_MAPS,
        about="Dice + CE with probabilities weighted by the signed distance from the true surface.",
        cite="Kervadec et al., MedIA 2021, doi:10.1016/j.media.2020.101851",
    ),
    "hausdorff_one_sided": Choice(
        target="scripts.losses.hausdorff_one_sided.HausdorffOneSidedLoss",
        base="dice_ce",
        needs=_MAPS,
        about="Dice + CE with squared errors times the squared distance from the true surface.",
        cite="Karimi et al., IEEE TMI 2019, doi:10.1109/TMI.2019.2930068",
    ),
    "hausdorff": Choice(
        target="scripts.losses.hausdorff.HausdorffLoss",
        base="dice_ce",
        about="Dice + CE with squared errors times squared distances from both surfaces, measured in each step: slow.",
        cite="Karimi et al., IEEE TMI 2019, doi:10.1109/TMI.2019.2930068",
    ),
    "generalized_surface": Choice(
        target="scripts.losses.generalized_surface.GeneralizedSurfaceLoss",
        base="dice_ce",
        needs=_MAPS,
        about="Dice + CE with the generalized surface loss, a bounded distance-weighted error.",
        cite="Celaya et al., arXiv 2302.03868",
    ),
    "volumetric_sddl": Choice(
        target="scripts.losses.surface_dilation.SurfaceDilationLoss",
        base="dice_ce",
        needs=frozenset({"spacing"}),
        about="Dice + CE with Dice of dilated surfaces, for organs and tumours: surfaces agree up to a tolerance.",
        cite="mist-medical 2.3.0",
    ),
    "vessel_sddl": Choice(
        target="scripts.losses.surface_dilation.SurfaceDilationLoss",
        base="cldice",
        needs=frozenset({"spacing"}),
        about="The cldice loss with Dice of dilated surfaces, for vessels.",
        cite="mist-medical 2.3.0",
    ),
}
