"""The losses on the menu. Each takes logits (B, C, X, Y, Z) and class indices (B, 1, X, Y, Z)."""

from __future__ import annotations

from mist_bundle.catalog.choice import Choice

# squared_pred with equal smoothing terms gives sum((y-p)^2) / (sum(y^2) + sum(p^2) + 1e-6), MIST's Dice loss, exactly
_MIST_DICE = {"to_onehot_y": True, "softmax": True, "squared_pred": True, "smooth_nr": 1e-6, "smooth_dr": 1e-6}

LOSSES: dict[str, Choice] = {
    "dice_ce": Choice(
        target="monai.losses.DiceCELoss",
        kwargs={**_MIST_DICE, "lambda_dice": 0.5, "lambda_ce": 0.5},
        about="Mean of Dice and cross-entropy (default).",
        cite="Milletari et al., 3DV 2016; Isensee et al., 2021",
    ),
    "dice": Choice(
        target="monai.losses.DiceLoss",
        kwargs=_MIST_DICE,
        about="Soft Dice over all classes, background included.",
        cite="Milletari et al., 3DV 2016, doi:10.1109/3DV.2016.79",
    ),
    "dice_focal": Choice(
        target="monai.losses.DiceFocalLoss",
        kwargs={**_MIST_DICE, "lambda_dice": 0.5, "lambda_focal": 0.5},
        about="Mean of Dice and focal loss.",
        cite="Lin et al., ICCV 2017, doi:10.1109/ICCV.2017.324",
    ),
    "generalized_dice": Choice(
        target="monai.losses.GeneralizedDiceLoss",
        kwargs={"to_onehot_y": True, "softmax": True},
        about="Generalized Dice: classes weighted by the inverse square of their volume.",
        cite="Sudre et al., DLMIA 2017, doi:10.1007/978-3-319-67558-9_28",
    ),
}
