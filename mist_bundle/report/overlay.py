"""A picture of predictions: image, reference and prediction laid over each other, for people who would rather look."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.artifacts import DATALIST_JSON, read_json
from mist_bundle.report.sources import dataset_dir_of

MAX_CASES = 4
PICTURE = "examples.png"


def draw_examples(bundle: Path, work_dir: Path) -> Path:
    """Draw held-out cases of every fold that has predictions, best spread over the folds.

    Args:
        bundle: the bundle, for its datalist.
        work_dir: its work folder, with fold_*/predictions/<id>.nii.gz.

    Returns:
        The PNG in the work folder. Each row is a case: the image alone, with the reference, with the prediction.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    cases = _predicted_cases(bundle, work_dir)[:MAX_CASES]
    figure, axes = pyplot.subplots(max(1, len(cases)), 3, figsize=(9, 3 * max(1, len(cases))), squeeze=False)
    highest = max((int(case["prediction"].max(initial=1)) for case in cases), default=1)
    for row, case in zip(axes, cases, strict=False):
        _draw_row(row, case, highest)
    for axis in axes.ravel():
        axis.set_axis_off()
    figure.tight_layout()
    path = work_dir / PICTURE
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def _predicted_cases(bundle: Path, work_dir: Path) -> list[dict[str, Any]]:
    import nibabel

    found = []
    root = dataset_dir_of(bundle)
    for item in read_json(bundle / DATALIST_JSON)["training"]:
        path = work_dir / f"fold_{item['fold']}" / "predictions" / f"{item['id']}.nii.gz"
        files = (root / item["image"][0], root / item["label"], path)
        if not all(file.is_file() for file in files):
            continue
        image, label, prediction = (nibabel.as_closest_canonical(nibabel.load(str(file))) for file in files)
        found.append(
            {
                "id": item["id"],
                "fold": item["fold"],
                "image": np.asarray(image.dataobj, dtype=np.float32),
                "label": np.asarray(label.dataobj).astype(np.int32),
                "prediction": np.asarray(prediction.dataobj).astype(np.int32),
                "spacing": tuple(float(size) for size in image.header.get_zooms()[:3]),
            }
        )
        if len(found) >= MAX_CASES:
            break
    return found


def _draw_row(row: Any, case: dict[str, Any], highest: int) -> None:
    axis = int(np.argmax(case["spacing"]))
    label, prediction = case["label"], case["prediction"]
    sums = (label > 0).sum(axis=tuple(other for other in range(3) if other != axis))
    index = int(np.argmax(sums)) if sums.any() else label.shape[axis] // 2
    others = [other for other in range(3) if other != axis]
    aspect = case["spacing"][others[1]] / case["spacing"][others[0]]
    picture = np.take(case["image"], index, axis)
    low, high = np.percentile(picture, [1, 99])
    titles = (f"{case['id']} (fold {case['fold']})", "reference", "prediction")
    for axes, mask, title in zip(row, (None, label, prediction), titles, strict=True):
        axes.imshow(picture.T, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), origin="lower", aspect=aspect)
        if mask is not None:
            _draw_mask(axes, np.take(mask, index, axis), highest, aspect)
        axes.set_title(title, fontsize=9)


def _draw_mask(axes: Any, mask: NDArray[np.int32], highest: int, aspect: float) -> None:
    shown = np.ma.masked_equal(mask.T, 0)
    if math.isfinite(aspect):
        axes.imshow(shown, cmap="turbo", vmin=0, vmax=highest, alpha=0.5, origin="lower", aspect=aspect)
