"""The networks on the menu. `sizing` names the rule of planning/topology.py that computes the remaining arguments."""

from __future__ import annotations

from mist_bundle.catalog.choice import Choice

NETWORKS: dict[str, Choice] = {
    "nnunet": Choice(
        target="monai.networks.nets.DynUNet",
        kwargs={"res_block": True, "trans_bias": True},
        about="nnU-Net: depth, kernels and strides follow patch and spacing; 32 to 320 filters, residual blocks.",
        cite="Isensee et al., Nature Methods 2021, doi:10.1038/s41592-020-01008-z",
        needs=frozenset({"deep_supervision"}),
        sizing="dynamic_unet",
    ),
    "nnunet-pocket": Choice(
        target="monai.networks.nets.DynUNet",
        kwargs={"res_block": True, "trans_bias": True},
        about="Pocket nnU-Net: the same topology with 32 filters at every level, about forty times fewer parameters.",
        cite="Celaya et al., IEEE TMI 2022, doi:10.1109/TMI.2022.3224873",
        needs=frozenset({"deep_supervision"}),
        sizing="pocket_unet",
    ),
}
