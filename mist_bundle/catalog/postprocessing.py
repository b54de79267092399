"""The post-processing operations on the menu, with their default options; runtime/postprocessing applies them."""

from __future__ import annotations

from mist_bundle.catalog.choice import Choice

_PAPER = "Celaya et al., arXiv:2407.21343"

POSTPROCESSING: dict[str, Choice] = {
    "remove_small_objects": Choice(
        target="scripts.postprocessing.components.remove_small_objects",
        kwargs={"min_size": 64, "unit": "voxels", "connectivity": 26},
        about="Components below min_size (voxels or mm3) become background.",
        cite=_PAPER,
    ),
    "keep_top_k_components": Choice(
        target="scripts.postprocessing.components.keep_top_k_components",
        kwargs={"k": 1, "detach": 0, "connectivity": 26},
        about="All but the k largest components become background; detach cuts thin bridges first.",
        cite=_PAPER,
    ),
    "replace_small_objects_with_label": Choice(
        target="scripts.postprocessing.components.replace_small_objects_with_label",
        kwargs={"min_size": 64, "unit": "voxels", "connectivity": 26},
        about="Components below min_size get the label `replacement` (BraTS: ET to its surroundings).",
        cite="Isensee et al., nnU-Net for brain tumor segmentation, 2020, arXiv:2011.00848",
    ),
    "morphological_opening": Choice(
        target="scripts.postprocessing.morphology.morphological_opening",
        kwargs={"iterations": 1},
        about="Thin parts become background: erosion, then dilation, by `iterations` voxels.",
        cite=_PAPER,
    ),
    "morphological_closing": Choice(
        target="scripts.postprocessing.morphology.morphological_closing",
        kwargs={"iterations": 1},
        about="Narrow gaps of the background are filled: dilation, then erosion, by `iterations` voxels.",
        cite=_PAPER,
    ),
    "fill_holes_with_label": Choice(
        target="scripts.postprocessing.morphology.fill_holes_with_label",
        kwargs={"fill_label": None, "max_size": None, "unit": "voxels"},
        about="Enclosed background gets the label around it, or fill_label; enclosed structures stay.",
        cite=_PAPER,
    ),
}
