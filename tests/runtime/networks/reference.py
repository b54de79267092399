"""Parameter counts of mist-medical 2.3.0."""

from __future__ import annotations

# counted by running mist-medical 2.3.0 at 128 cubed, one channel, two classes, with its deep supervision
PARAMETERS_OF_MIST = {
    "nnunet": 31_420_198,
    "nnunet-pocket": 767_974,
    "fmgnet": 3_170_694,
    "wnet": 5_856_134,
    "mednext-small": 5_552_842,
    "mednext-base": 10_512_778,
    "mednext-medium": 17_535_434,
    "mednext-large": 61_728_682,
    "swinunetr-small": 18_346_844,
    "swinunetr-base": 72_762_068,
    "swinunetr-large": 290_390_852,
}
